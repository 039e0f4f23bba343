/**
 * Which of a peer's addresses is used from here, and whether the peer is reached at all without
 * the help of others.
 *
 * Law: only addresses that the peer itself announced are used, the first of them until another one
 * proves better: an address that answers while the one in use does not. What works is kept; the
 * addresses before it are tried again at growing distance. Without an answer from any, the peer
 * stays alive by its relays' word and is named as not directly reached.
 */
import type { HostPort, PeerId } from "../ports.ts";
import { hostsOf } from "./address.ts";
import type { DirectPath, PathFault } from "./membership.ts";
import { compareLives, type Life, lifeOf, type PeerRecord } from "./record.ts";
import type { HealTiming } from "./timing.ts";

/** Unanswered rounds of pings to every address before a peer counts as not directly reached. */
const ROUNDS_MAX = 5;
/** Longest pause between tries of a preferred address, in longest pauses between hellos. */
const RETURN_MAX = 100;
/** The same for a peer without a direct path. */
const RETRY_MAX = 10;

interface Way {
  readonly life: Life;
  readonly hosts: readonly string[];
  readonly port: number;
  inUse: string;
  /** The address in use was heard from, or answered. */
  isProven: boolean;
  /** The address in use did not answer in time; others may prove better. */
  isDoubted: boolean;
  /** Another address that answered meanwhile, and when. */
  spare: { readonly host: string; readonly atMs: number } | undefined;
  /** Rounds without an answer, and when the first of them was. */
  misses: number;
  missedMs: number;
  /** Undefined until the first answer or the first fault. */
  path: DirectPath | undefined;
  retryMs: number;
  pauseMs: number;
  leftPreferredMs: number;
  /** When a packet of it was last seen here; undefined before the first. */
  seenMs: number | undefined;
}

/** Addresses of one peer to ping now. */
export interface Errand {
  readonly id: PeerId;
  readonly addresses: readonly HostPort[];
  /** Whether its host should be asked why it does not answer. */
  readonly isLost: boolean;
}

export class Paths {
  /** BOUNDED: the roster's entries (LIMITS.peersMax), dropped with them. */
  readonly #ways = new Map<PeerId, Way>();
  /** BOUNDED: a part of the ways: those where something is still open. */
  readonly #open = new Set<PeerId>();
  readonly #now: () => number;
  readonly #timing: HealTiming;
  #own: ReadonlySet<string>;
  /** The address in use or the path of a live peer has changed. */
  onChange: (id: PeerId) => void = () => undefined;
  /** Something is open that was not. */
  onOpen: () => void = () => undefined;

  /** `own`: this host's addresses, which lead to itself whoever else has them. */
  constructor(now: () => number, timing: HealTiming, own: readonly string[]) {
    this.#now = now;
    this.#timing = timing;
    this.#own = new Set(own);
  }

  /** This host has other addresses: which of a peer's lead to it is to be found out anew. */
  relocate(own: readonly string[]): void {
    this.#own = new Set(own);
  }

  /** The record with the address in use as its address; takes note of new addresses. */
  place(record: PeerRecord): PeerRecord {
    const { id, advertise } = record.meta;
    const way = this.#wayOf(record);
    if (record.state === "dead" || record.state === "left") this.#rest(id, way);
    else if (isOpen(way) && !this.#open.has(id)) this.#reopen(id);
    if (advertise.host === way.inUse) return record;
    const meta = { ...record.meta, advertise: { host: way.inUse, port: way.port } };
    return { ...record, meta };
  }

  /** What is known of the direct path to a live peer. */
  of(id: PeerId): DirectPath | undefined {
    return this.#ways.get(id)?.path;
  }

  /** When a packet of a peer was last seen here. */
  seenMs(id: PeerId): number | undefined {
    return this.#ways.get(id)?.seenMs;
  }

  /** The addresses of a peer that are not in use. */
  others(id: PeerId): HostPort[] {
    const way = this.#ways.get(id);
    return way === undefined ? [] : addresses(way, (host) => host !== way.inUse);
  }

  /** A live peer's packet came from this address: so there is a way, until a ping shows more. */
  heard(id: PeerId, from: HostPort): void {
    const way = this.#ways.get(id);
    if (way === undefined || !way.hosts.includes(from.host)) return;
    way.seenMs = this.#now();
    if (way.isProven) return;
    way.isProven = true;
    this.#use(id, way, from.host);
  }

  /** The address in use did not answer in time, and the others were asked as well. */
  doubt(id: PeerId): void {
    const way = this.#ways.get(id);
    if (way !== undefined) way.isDoubted = true;
  }

  /** A peer answered a ping sent to this address. True when it is the one in use. */
  answered(id: PeerId, at: HostPort): boolean {
    const way = this.#ways.get(id);
    const rank = way?.hosts.indexOf(at.host) ?? -1;
    if (way === undefined || rank < 0) return false;
    way.seenMs = this.#now();
    way.misses = 0;
    const isInUse = at.host === way.inUse;
    if (isInUse) {
      way.isDoubted = false;
      way.spare = undefined;
    } else if (!way.isProven || rank < way.hosts.indexOf(way.inUse)) {
      this.#use(id, way, at.host);
    } else if (way.isDoubted) {
      way.spare ??= { host: at.host, atMs: this.#now() };
      this.#reopen(id);
    }
    if (at.host === way.inUse) way.isProven = true;
    if (way.path?.isDirect !== true) this.#found(id, way, { isDirect: true });
    return at.host === way.inUse;
  }

  /** A peer answered nobody here, but a relay. */
  missed(id: PeerId): void {
    const way = this.#ways.get(id);
    if (way === undefined || way.misses > 0 || way.path?.isDirect === false) return;
    way.misses = 1;
    way.missedMs = this.#now();
    this.#reopen(id);
  }

  /** What a connect to the host of a peer without a direct path showed. */
  explained(id: PeerId, why: PathFault): void {
    const way = this.#ways.get(id);
    if (way?.path?.isDirect !== false || way.path.why === why) return;
    way.path = { ...way.path, why };
    this.onChange(id);
  }

  forget(id: PeerId): void {
    this.#ways.delete(id);
    this.#open.delete(id);
  }

  /** Whether something is open that wants another look soon, or late, or nothing at all. */
  get pace(): "soon" | "late" | undefined {
    if (this.#open.size === 0) return undefined;
    const isSoon = [...this.#open].some((id) => {
      const way = this.#ways.get(id);
      return way !== undefined && (way.spare !== undefined || isMissing(way));
    });
    return isSoon ? "soon" : "late";
  }

  /** One look at all that is open: decides what time has decided, returns whom to ping. */
  due(): Errand[] {
    const errands: Errand[] = [];
    for (const id of [...this.#open]) {
      const way = this.#ways.get(id);
      const errand = way === undefined ? undefined : this.#look(id, way);
      if (errand !== undefined) errands.push({ id, ...errand });
      if (way === undefined || !isOpen(way)) this.#open.delete(id);
    }
    return errands;
  }

  #look(id: PeerId, way: Way): Omit<Errand, "id"> | undefined {
    const nowMs = this.#now();
    if (way.spare !== undefined && nowMs - way.spare.atMs >= this.#timing.healMs / 4) {
      this.#use(id, way, way.spare.host);
    }
    if (isMissing(way)) {
      way.misses += 1;
      if (way.misses > ROUNDS_MAX) this.#lose(id, way);
      way.isDoubted = true;
      return { addresses: addresses(way), isLost: way.misses > ROUNDS_MAX };
    }
    if (nowMs < way.retryMs) return undefined;
    const isLost = way.path?.isDirect === false;
    const longest = this.#timing.healMaxMs * (isLost ? RETRY_MAX : RETURN_MAX);
    way.pauseMs = Math.min(longest, 2 * way.pauseMs);
    way.retryMs = nowMs + way.pauseMs;
    if (isLost) return { addresses: addresses(way), isLost };
    const rank = way.hosts.indexOf(way.inUse);
    const better = addresses(way, (host) => way.hosts.indexOf(host) < rank);
    return better.length === 0 ? undefined : { addresses: better, isLost };
  }

  #wayOf(record: PeerRecord): Way {
    const { id, advertise } = record.meta;
    const known = this.#ways.get(id);
    const all = hostsOf(record.meta);
    const usable = all.filter((host) => !this.#own.has(host));
    const hosts = usable.length === 0 ? all : usable;
    const isSame =
      known !== undefined &&
      compareLives(known.life, lifeOf(record)) === 0 &&
      known.port === advertise.port &&
      known.hosts.join() === hosts.join();
    if (isSame) return known;
    const [first = advertise.host] = hosts;
    const inUse = known !== undefined && hosts.includes(known.inUse) ? known.inUse : first;
    const way: Way = {
      life: lifeOf(record),
      hosts,
      port: advertise.port,
      inUse,
      isProven: false,
      isDoubted: false,
      spare: undefined,
      misses: 0,
      missedMs: 0,
      path: undefined,
      retryMs: this.#now() + this.#timing.healMaxMs,
      pauseMs: this.#timing.healMaxMs,
      leftPreferredMs: Number.NEGATIVE_INFINITY,
      seenMs: known?.seenMs,
    };
    this.#ways.set(id, way);
    return way;
  }

  /** Nothing is known of the paths to a peer that is gone. */
  #rest(id: PeerId, way: Way): void {
    way.isProven = false;
    way.spare = undefined;
    way.misses = 0;
    way.path = undefined;
    this.#open.delete(id);
  }

  #use(id: PeerId, way: Way, host: string): void {
    const wasPreferred = way.inUse === way.hosts[0];
    way.spare = undefined;
    way.isDoubted = false;
    if (host === way.inUse) return;
    way.inUse = host;
    const nowMs = this.#now();
    if (wasPreferred) {
      // An address that fails again and again is returned to ever later.
      const longest = this.#timing.healMaxMs * RETURN_MAX;
      const isNewFault = nowMs - way.leftPreferredMs > 2 * longest;
      way.pauseMs = isNewFault ? this.#timing.healMaxMs : Math.min(longest, 2 * way.pauseMs);
      way.leftPreferredMs = nowMs;
      way.retryMs = nowMs + way.pauseMs;
    }
    if (isOpen(way)) this.#reopen(id);
    this.onChange(id);
  }

  #lose(id: PeerId, way: Way): void {
    way.pauseMs = this.#timing.healMaxMs;
    way.retryMs = this.#now() + way.pauseMs;
    way.path = { isDirect: false, sinceMs: way.missedMs, why: "silent" };
    this.onChange(id);
  }

  #found(id: PeerId, way: Way, path: { readonly isDirect: boolean }): void {
    const isNews = way.path !== undefined;
    way.path = { ...path, sinceMs: this.#now() };
    if (isNews) this.onChange(id);
  }

  #reopen(id: PeerId): void {
    this.#open.add(id);
    this.onOpen();
  }
}

/** Answers are missing and nothing is decided yet. */
function isMissing(way: Way): boolean {
  return way.misses > 0 && way.path?.isDirect !== false;
}

function isOpen(way: Way): boolean {
  const isElsewhere = way.inUse !== way.hosts[0];
  return isElsewhere || way.spare !== undefined || way.misses > 0 || way.path?.isDirect === false;
}

function addresses(way: Way, wanted: (host: string) => boolean = () => true): HostPort[] {
  return way.hosts.filter(wanted).map((host) => ({ host, port: way.port }));
}
