/**
 * When the kernel holds something that nobody desires: the proofs that it may go.
 *
 * Law: never remove on doubt. An entry goes when the peer at its VTEP is here and its rows of this
 * life are held (so the row's absence is its word), when that peer is proved gone, or when no peer
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

export function keepUntilProved(ports: KeepPorts, self: { vtep: string }): Keep {
  const startedMs = ports.clock.nowMs();
  const graceIsOver = () => ports.clock.nowMs() - startedMs > TIMES.deadGraceMs;
  return {
    mayRemove: ({ vtep }) => {
      if (vtep === undefined) return graceIsOver();
      if (vtep === self.vtep) return true;
      const peers = ports.members().filter((member) => hostsOf(member).includes(vtep));
      if (peers.length === 0) return graceIsOver();
      return peers.every((peer) => {
        if (!ports.presence.entriesCount(peer.id)) return true;
        return peer.state === "alive" && ports.heldIncarnation(peer.id) === peer.incarnation;
      });
    },
    mayRemoveEndpoint: (prefix) => ports.ownEndpointsKnown() && !ports.hasEndpoint(prefix),
  };
}
