/**
 * Two processes with one peer id: a cloned disk, or a state directory rolled back to before a
 * start that others remember.
 *
 * Law: only packets that come straight from both processes prove a twin: the earlier life, the
 * later one, and a while after the first the earlier one again. Gossip about an earlier life does
 * not, nor what an ended process said last, however often and fast a peer restarts: its lives only
 * rise. Both addresses are named.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";
import { addressKey } from "./address.ts";
import type { MembershipProblem } from "./membership.ts";
import { compareLives, type Life } from "./record.ts";

interface Sighting {
  readonly life: Life;
  readonly firstMs: number;
  lastMs: number;
  /** The other life was heard from since. */
  isAnswered: boolean;
  isProven: boolean;
  problem: MembershipProblem;
}

/** A predecessor's last packets may still be on the way; a living twin goes on sending. */
const PROOF_MS = 1000;
/** Without news a problem is over. */
const FADE_MS = 30_000;
/** Clones of one peer that are told apart. */
const LIVES_MAX = 4;

export class Twins {
  /** BOUNDED: LIMITS.peersMax peers of LIVES_MAX; the first ones already need a person. */
  readonly #sightings = new Map<PeerId, Sighting[]>();
  #superseded: { readonly lastMs: number; readonly problem: MembershipProblem } | undefined;

  /**
   * A process at `there` speaks as another life of a peer than the one at `here`. True when that
   * proves two running ones.
   */
  seen(peer: PeerId, life: Life, places: readonly [HostPort, HostPort], nowMs: number): boolean {
    const known = (this.#sightings.get(peer) ?? []).filter((one) => isRecent(one, nowMs));
    const before = known.find((one) => compareLives(one.life, life) === 0);
    if (before === undefined) {
      const news = { life, firstMs: nowMs, lastMs: nowMs, isAnswered: false, isProven: false };
      this.#keep(peer, [...known, { ...news, problem: shared(peer, places) }], nowMs);
      return false;
    }
    before.lastMs = nowMs;
    before.problem = shared(peer, places);
    const wasProven = before.isProven;
    before.isProven ||= before.isAnswered && nowMs - before.firstMs >= PROOF_MS;
    return before.isProven && !wasProven;
  }

  /** The life that is on record for a peer spoke, or is this very process. */
  heard(peer: PeerId): void {
    for (const sighting of this.#sightings.get(peer) ?? []) sighting.isAnswered = true;
  }

  /** Others hold a later life of this very peer, last at `there`. True when new. */
  superseded(peer: PeerId, here: HostPort, there: HostPort, nowMs: number): boolean {
    const text = `the mesh knows a later start of this peer ${peer}, at ${addressKey(there)}`;
    const before = this.#superseded;
    const isNew = before === undefined || !isRecent(before, nowMs) || before.problem.text !== text;
    this.#superseded = {
      lastMs: nowMs,
      problem: {
        code: "PEER_SUPERSEDED",
        peer,
        addresses: [here, there],
        text,
        next: "launch again; if the other address is a clone of this host, reset one of the two",
      },
    };
    return isNew;
  }

  problems(nowMs: number): MembershipProblem[] {
    const proven = [...this.#sightings.values()].flat().filter((one) => one.isProven);
    const all = this.#superseded === undefined ? proven : [...proven, this.#superseded];
    return all.filter((one) => isRecent(one, nowMs)).map(({ problem }) => problem);
  }

  #keep(peer: PeerId, sightings: readonly Sighting[], nowMs: number): void {
    if (!this.#sightings.has(peer) && this.#sightings.size >= LIMITS.peersMax) {
      for (const [id, old] of this.#sightings) {
        if (!old.some((one) => isRecent(one, nowMs))) this.#sightings.delete(id);
      }
      if (this.#sightings.size >= LIMITS.peersMax) return;
    }
    this.#sightings.set(peer, sightings.slice(-LIVES_MAX));
  }
}

function isRecent({ lastMs }: { readonly lastMs: number }, nowMs: number): boolean {
  return nowMs - lastMs <= FADE_MS;
}

function shared(peer: PeerId, [here, there]: readonly [HostPort, HostPort]): MembershipProblem {
  const places = `${addressKey(here)} and ${addressKey(there)}`;
  return {
    code: "PEER_ID_SHARED",
    peer,
    addresses: [here, there],
    text: `two running peers share the id ${peer}: ${places}`,
    next: "on one of them: tsweave stop, remove its state directory, tsweave launch",
  };
}
