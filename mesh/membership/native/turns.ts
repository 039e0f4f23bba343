/**
 * Who probes whom in a quiet mesh: neighbours on the ring of ids, in pairs, taking turns.
 *
 * Law: one ping and its ack prove both ends alive, so a pair needs one exchange a period, whoever
 * begins it: who was pinged last pings next, and if that does not come in time, the other one does.
 * Each peer has an inner partner, spoken with often, so that the wait for a first probe is bounded
 * and not drawn by lot; through the outer ones, spoken with seldom, the pairs hang together, so
 * that partners who die together are missed as well. Suspects are passed over.
 */
import type { PeerId } from "../../ports.ts";
import type { PeerRecord } from "../record.ts";

export interface Neighbours {
  /** One; two in the middle of three; none of a peer that is alone. */
  readonly inner: readonly PeerId[];
  readonly outer: readonly PeerId[];
}

/**
 * The neighbours of `self` among the alive, in the order of ids wrapping round: ranks 0 and 1 are
 * partners, 2 and 3, and so on; the last of an odd number makes three of the pair before it.
 */
export function neighbours(self: PeerId, live: readonly PeerRecord[]): Neighbours {
  let [rank, count] = [0, 1];
  let first: PeerId | undefined;
  let last: PeerId | undefined;
  let before: PeerId | undefined;
  let after: PeerId | undefined;
  for (const { state, meta } of live) {
    if (state !== "alive") continue;
    const { id } = meta;
    count += 1;
    if (first === undefined || id < first) first = id;
    if (last === undefined || id > last) last = id;
    if (id < self) {
      rank += 1;
      if (before === undefined || id > before) before = id;
    } else if (after === undefined || id < after) {
      after = id;
    }
  }
  const [next, previous] = [after ?? first, before ?? last];
  const isOdd = count % 2 === 1;
  const withNext = rank % 2 === 0 ? rank < count - 1 : isOdd && rank === count - 2;
  const withPrevious = rank % 2 === 1 || (isOdd && rank === count - 1);
  const inner = new Set<PeerId>();
  if (withNext && next !== undefined) inner.add(next);
  if (withPrevious && previous !== undefined) inner.add(previous);
  const outer = new Set([next, previous].filter((id) => id !== undefined && !inner.has(id)));
  return { inner: [...inner], outer: [...outer] as PeerId[] };
}

interface Turn {
  readonly atMs: number;
  readonly isOurs: boolean;
}

/** When each peer was last heard from, and whose turn it is to ping. */
export class Turns {
  /** BOUNDED: the roster's entries (LIMITS.peersMax), dropped with them. */
  readonly #turns = new Map<PeerId, Turn>();

  /** A live peer pinged this one. */
  pinged(id: PeerId, nowMs: number): void {
    this.#turns.set(id, { atMs: nowMs, isOurs: true });
  }

  /** A peer answered a ping of this one. */
  answered(id: PeerId, nowMs: number): void {
    this.#turns.set(id, { atMs: nowMs, isOurs: false });
  }

  forget(id: PeerId): void {
    this.#turns.delete(id);
  }

  /** When to ping a peer: so long after it was heard from, later by `graceMs` on its own turn. */
  dueMs(id: PeerId, periodMs: number, graceMs: number): number {
    const turn = this.#turns.get(id);
    if (turn === undefined) return Number.NEGATIVE_INFINITY;
    return turn.atMs + periodMs + (turn.isOurs ? 0 : graceMs);
  }

  /** Whether a peer was heard from since. */
  heardSince(id: PeerId, sinceMs: number): boolean {
    return (this.#turns.get(id)?.atMs ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }
}
