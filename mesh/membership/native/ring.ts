/**
 * Whom a peer watches: the next member on the ring of ids, so that each member is watched by
 * exactly one other at a known pace and the wait for a first probe is bounded, not drawn by lot.
 *
 * Law: suspects are skipped, so neighbours that die together are found one after the other at once.
 * The ring is no substitute for the shuffled rounds, which cover every pair.
 */
import type { PeerId } from "../../ports.ts";
import type { PeerRecord } from "../record.ts";

/** The alive member that follows `self` in the order of ids, wrapping round. */
export function successor(self: PeerId, live: readonly PeerRecord[]): PeerRecord | undefined {
  let next: PeerRecord | undefined;
  let first: PeerRecord | undefined;
  for (const record of live) {
    if (record.state !== "alive") continue;
    const { id } = record.meta;
    if (first === undefined || id < first.meta.id) first = record;
    if (id > self && (next === undefined || id < next.meta.id)) next = record;
  }
  return next ?? first;
}
