/**
 * Cutting the live peers into ranges of ids for a two-level push.
 *
 * Law: ranges, not lists: a head serves whom it knows in the range, so a peer that the origin has
 * not heard of yet is reached too. Each cut begins at a random peer, so no peer is head for ever.
 */
import { TIMES } from "../limits.ts";
import type { Member } from "../membership/membership.ts";
import type { Random } from "../ports.ts";
import type { IdRange } from "./push.ts";

/** A round trip that was not measured yet. */
const UNKNOWN_RTT_MS = 7;

export interface PeerRange {
  readonly range: IdRange;
  readonly members: readonly Member[];
}

/** About √N runs of about √N peers of a sorted list, which together cover the ring of ids. */
export function cutRanges(sorted: readonly Member[], random: Random): PeerRange[] {
  const start = random.u32() % Math.max(1, sorted.length);
  const ring = [...sorted.slice(start), ...sorted.slice(0, start)];
  const size = Math.ceil(Math.sqrt(ring.length));
  const ranges: PeerRange[] = [];
  for (let at = 0; at < ring.length; at += size) {
    const members = ring.slice(at, at + size);
    const [first] = members;
    // Up to where the next range begins: whoever lies between is this head's.
    const next = ring[(at + size) % ring.length];
    const last = at + size < ring.length ? next : ring[0];
    if (first === undefined || last === undefined) continue;
    ranges.push({ range: { first: first.id, last: before(last.id) }, members });
  }
  return ranges;
}

/** When to say it again to some peers: three times the longest of their round trips. */
export function retryMs(members: Iterable<Pick<Member, "rttMs">>): number {
  let longestMs = 0;
  for (const { rttMs } of members) longestMs = Math.max(longestMs, rttMs ?? UNKNOWN_RTT_MS);
  return Math.min(TIMES.relayRetryMsMax, Math.max(TIMES.relayRetryMs, 3 * longestMs));
}

/** The id just below another, on the ring of ids. */
function before(id: string): string {
  const digits = [...id];
  for (let at = digits.length - 1; at >= 0; at -= 1) {
    const value = Number.parseInt(digits[at] ?? "0", 16);
    digits[at] = (value === 0 ? 15 : value - 1).toString(16);
    if (value !== 0) break;
  }
  return digits.join("");
}
