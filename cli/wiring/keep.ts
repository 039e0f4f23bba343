/**
 * When the kernel holds something that nobody desires: the proofs that it may go.
 *
 * Law: never remove on doubt. An entry goes when the peer at its VTEP is here and its rows of this
 * life have been held for a moment (they come in pieces, and a missing row may be in the next one;
 * after that its absence is the peer's word), when that peer is proved gone, or when no peer
 * of that VTEP has shown itself for the whole grace since the start.
 */
import { type Clock, hostsOf, type Member, type PeerId, TIMES } from "../../mesh/index.ts";
import type { Keep } from "../../overlay/index.ts";
import type { Verdicts } from "./heirs.ts";

export interface KeepPorts {
  readonly clock: Clock;
  readonly presence: Verdicts;
  readonly members: () => readonly Member[];
  readonly heldIncarnation: (peer: PeerId) => number | undefined;
  /** True once this host's own endpoints are known for certain. */
  readonly ownEndpointsKnown: () => boolean;
  readonly hasEndpoint: (prefix: string) => boolean;
}

/** From the first piece of a peer's rows to its last: a push is repeated within a second. */
const PIECES_MS = 2000;

export interface WatchfulKeep extends Keep {
  /** To be called whenever rows may have come; `settled` hears when they are believed. */
  readonly look: (settled: () => void) => void;
}

export function keepUntilProved(ports: KeepPorts, self: { vtep: string }): WatchfulKeep {
  const startedMs = ports.clock.nowMs();
  /** Since when rows of which life are held. BOUNDED: LIMITS.peersMax members. */
  const heldSince = new Map<PeerId, { readonly incarnation: number; readonly sinceMs: number }>();
  const isHeld = ({ id, incarnation }: Member): boolean => {
    if (ports.heldIncarnation(id) !== incarnation) return false;
    const known = heldSince.get(id);
    const nowMs = ports.clock.nowMs();
    if (known?.incarnation === incarnation) return nowMs - known.sinceMs >= PIECES_MS;
    heldSince.set(id, { incarnation, sinceMs: nowMs });
    return false;
  };
  const graceIsOver = () => ports.clock.nowMs() - startedMs > TIMES.deadGraceMs;
  return {
    mayRemove: ({ vtep }) => {
      if (vtep === undefined) return graceIsOver();
      if (vtep === self.vtep) return true;
      const peers = ports.members().filter((member) => hostsOf(member).includes(vtep));
      if (peers.length === 0) return graceIsOver();
      return peers.every((peer) => {
        if (!ports.presence.entriesCount(peer.id)) return true;
        return peer.state === "alive" && isHeld(peer);
      });
    },
    look: (settled) => {
      for (const peer of ports.members()) {
        const isNew = heldSince.get(peer.id)?.incarnation !== peer.incarnation;
        if (!isNew || ports.heldIncarnation(peer.id) !== peer.incarnation) continue;
        isHeld(peer);
        ports.clock.timer("rows settle", PIECES_MS, settled);
      }
    },
    mayRemoveEndpoint: (prefix) => ports.ownEndpointsKnown() && !ports.hasEndpoint(prefix),
  };
}
