/**
 * This host's underlay followed while the daemon runs: what it can carry goes to all others as a
 * row, and the least of all rows is the MTU of the networks.
 *
 * Law: a row counts as long as its host is here or its containers' entries stay, so a host that is
 * away for a moment raises nothing, nor does a restart of this one.
 */
import {
  type Cancel,
  type Clock,
  type Log,
  type Member,
  messageOf,
  type PeerId,
  type Tables,
} from "../../mesh/index.ts";
import {
  HOST_KEY,
  type HostRow,
  hostToWire,
  leastOffer,
  offerOf,
  type UnderlayView,
} from "../../overlay/index.ts";
import type { SharedRows } from "./shared-rows.ts";

export interface UnderlayPorts {
  readonly tables: Pick<Tables, "put">;
  readonly rows: Pick<SharedRows, "hosts" | "vteps" | "presence">;
  readonly members: () => readonly Member[];
  readonly clock: Clock;
  readonly log: Log;
  /** Looks at the routes to these addresses. */
  readonly view: (vteps: readonly string[]) => Promise<UnderlayView>;
  /** Proved sizes by underlay address. */
  readonly proved: () => ReadonlyMap<string, number>;
}

export interface UnderlayOptions {
  readonly self: PeerId;
  readonly vxlanPort: number;
  readonly underlay: 4 | 6;
  /** --mtu */
  readonly mtuBytes: number | undefined;
  /** Not --no-docker. */
  readonly docker: boolean;
}

/** Lets the companions of a hint arrive. */
const SETTLE_MS = 300;
/** A monitor tells of changes; this is for what it lost. */
const LOOK_MS = 60_000;
/** After a start the rows on disk count, until it is known who is here. */
const EARLY_MS = 20_000;
/** A mesh that joins or heals gives hints all the time. */
const SPACING_MS = 1500;

export class Underlay {
  readonly #ports: UnderlayPorts;
  readonly #options: UnderlayOptions;
  #view: UnderlayView = { device: "", mtuBytes: 1500, routes: [] };
  #own: HostRow;
  #cancel: Cancel = () => undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #isOver = false;
  readonly #openedMs: number;
  /** Called when the MTU of the networks may have to change, and after each look. */
  onChange: () => void = () => undefined;
  /** Called when a device or a route is another than before, not when there are more of them. */
  onNews: () => void = () => undefined;

  constructor(ports: UnderlayPorts, options: UnderlayOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#openedMs = ports.clock.nowMs();
    this.#own = this.#offer();
  }

  /** Looks for the first time, so that networks can be made; asks no peer. */
  async open(): Promise<void> {
    await this.#look();
    this.#ports.rows.hosts.onChange(() => this.onChange());
  }

  /** Follows from now on. */
  start(): void {
    this.hint();
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  /** Links, routes, members or proofs may have changed: looks soon. */
  readonly hint = (): void => {
    const againMs = this.#lookedMs + SPACING_MS - this.#ports.clock.nowMs();
    this.#arm(Math.max(SETTLE_MS, againMs));
  };

  /** What this host tells of itself. */
  get own(): HostRow {
    return this.#own;
  }

  /** The device that frames leave by, empty when there is none. */
  get device(): string {
    return this.#view.routes[0]?.device ?? this.#view.device;
  }

  /** The host that offers least, and what. */
  least(): { readonly origin: PeerId; readonly row: HostRow } {
    const own = { origin: this.#options.self, row: this.#own };
    const least = leastOffer(this.offers()) ?? own;
    // Of equal offers this host's own is named: it is the one that a person here can look at.
    return least.row.overlayMtuBytes === own.row.overlayMtuBytes ? own : least;
  }

  /** What packets could have if nothing were proved about paths: what is worth trying. */
  fullBytes(): number {
    const { self, mtuBytes } = this.#options;
    const routes = offerOf(this.#view, new Map(), { ...this.#options, fixedBytes: undefined });
    const sizes = this.offers()
      .filter(({ origin, row }) => origin !== self && row.cause !== "path")
      .map(({ row }) => row.overlayMtuBytes);
    return Math.min(routes.overlayMtuBytes, mtuBytes ?? Number.POSITIVE_INFINITY, ...sizes);
  }

  /** The offers that count. */
  offers(): { readonly origin: PeerId; readonly row: HostRow }[] {
    const { rows, members } = this.#ports;
    const { self } = this.#options;
    const here = new Set(members().flatMap((one) => (isHere(one) ? [one.id] : [])));
    const used = rows.vteps();
    const isEarly = this.#ports.clock.nowMs() - this.#openedMs < EARLY_MS;
    const counts = (origin: PeerId): boolean =>
      origin !== self &&
      (isEarly || here.has(origin) || (used.has(origin) && rows.presence.entriesCount(origin)));
    const others = [...rows.hosts.rows()].filter(({ key }) => key === HOST_KEY);
    return [{ origin: self, row: this.#own }, ...others.filter(({ origin }) => counts(origin))];
  }

  #arm(delayMs: number): void {
    const dueMs = this.#ports.clock.nowMs() + delayMs;
    if (this.#isOver || dueMs >= this.#dueMs) return;
    this.#cancel();
    this.#dueMs = dueMs;
    this.#cancel = this.#ports.clock.timer("underlay", delayMs, () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      void this.#turn();
    });
  }

  async #turn(): Promise<void> {
    this.#lookedMs = this.#ports.clock.nowMs();
    try {
      await this.#look();
    } catch (error) {
      this.#ports.log.warn({ error: messageOf(error) }, "the underlay cannot be looked at");
    }
    if (!this.#isOver) this.onChange();
    this.#arm(LOOK_MS);
  }

  async #look(): Promise<void> {
    const { members, tables, view, log } = this.#ports;
    const vteps = members().flatMap((one) =>
      one.self || !isHere(one) ? [] : [one.advertise.host],
    );
    const before = this.#view;
    this.#view = await view([...new Set(vteps)]);
    if (isOther(before, this.#view)) this.onNews();
    const offer = this.#offer();
    const isSame = JSON.stringify(offer) === JSON.stringify(this.#own);
    if (!isSame) log.info({ was: this.#own, now: offer }, "what the underlay carries");
    this.#own = offer;
    const told = this.#ports.rows.hosts.get(this.#options.self, HOST_KEY);
    if (JSON.stringify(told) !== JSON.stringify(offer)) {
      tables.put("hosts", HOST_KEY, hostToWire(offer));
    }
  }

  #offer(): HostRow {
    const own = { ...this.#options, fixedBytes: this.#options.mtuBytes };
    return offerOf(this.#view, this.#ports.proved(), own);
  }
}

function isOther(before: UnderlayView, now: UnderlayView): boolean {
  if (before.device !== now.device || before.mtuBytes !== now.mtuBytes) return true;
  const routes = new Map(before.routes.map((route) => [route.vtep, route]));
  return now.routes.some(({ vtep, device, mtuBytes }) => {
    const route = routes.get(vtep);
    return route !== undefined && (route.device !== device || route.mtuBytes !== mtuBytes);
  });
}

function isHere({ state }: Member): boolean {
  return state === "alive" || state === "suspect";
}
