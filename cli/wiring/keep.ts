/**
 * When the kernel holds something that nobody desires: the proofs that it may go.
 *
 * Law: never remove on doubt. An entry goes when the peer at its VTEP is here and its rows of this
 * life have come to rest (they come in pieces, and a missing row may be in the next one; after that
 * its absence is the peer's word), when that peer is proved gone or its rows were dropped, when no
 * peer of that VTEP has shown itself for the whole grace since the start, or when it leads to no
 * VTEP at all.
 */
import { type Clock, hostsOf, type Member, type PeerId, TIMES } from "../../mesh/index.ts";
import type { Keep } from "../../overlay/index.ts";
import type { Verdicts } from "./shared-rows.ts";

export interface KeepPorts {
  readonly clock: Clock;
  readonly presence: Verdicts;
  readonly members: () => readonly Member[];
  /** How far a peer's log is held here. */
  readonly held: (peer: PeerId) => { incarnation: number; seq: number } | undefined;
  /** Whether a peer's rows were dropped, as those of one that another has replaced. */
  readonly isForgotten: (peer: PeerId) => boolean;
  /** True once this host's own endpoints are known for certain. */
  readonly ownEndpointsKnown: () => boolean;
  readonly hasEndpoint: (prefix: string) => boolean;
}

/** Pieces of a log follow one another faster; a lost one is sent again within a second. */
const STILL_MS = 2000;
/** A peer whose containers come and go all the time is never still. */
const STILL_MS_MAX = 30_000;

/** What is held of a peer's present life, until it is believed to be all. */
interface Life {
  readonly incarnation: number;
  readonly sinceMs: number;
  seq: number;
  changedMs: number;
  isWhole: boolean;
}

export interface WatchfulKeep extends Keep {
  /** To be called whenever rows may have come; `settled` hears when they are believed. */
  readonly look: (settled: () => void) => void;
}

export function keepUntilProved(ports: KeepPorts, self: { vtep: string }): WatchfulKeep {
  const startedMs = ports.clock.nowMs();
  /** BOUNDED: LIMITS.peersMax members. */
  const lives = new Map<PeerId, Life>();
  /** Takes note of what is held now; undefined while nothing of this life is. */
  const lifeOf = ({ id, incarnation }: Member): Life | undefined => {
    const held = ports.held(id);
    if (held?.incarnation !== incarnation) return undefined;
    const nowMs = ports.clock.nowMs();
    const { seq } = held;
    const known = lives.get(id);
    const isNew = known?.incarnation !== incarnation;
    const life = isNew
      ? { incarnation, sinceMs: nowMs, seq, changedMs: nowMs, isWhole: false }
      : known;
    if (life.seq !== seq) Object.assign(life, { seq, changedMs: nowMs });
    const isStill = nowMs - life.changedMs >= STILL_MS || nowMs - life.sinceMs >= STILL_MS_MAX;
    life.isWhole ||= isStill;
    lives.set(id, life);
    return life;
  };
  const isHere = ({ self: isSelf, state }: Member) =>
    !isSelf && (state === "alive" || state === "suspect");
  /** Not to be believed yet: in doubt itself, or its rows are not whole, held or still to come. */
  const isOpen = (peer: Member) => peer.state === "suspect" || lifeOf(peer)?.isWhole !== true;
  /** BOUNDED: as lives. */
  const watched = new Set<PeerId>();
  /** Looks again until the rows are whole, then tells. Rows that never come cost a timer. */
  const watch = (id: PeerId, settled: () => void): void => {
    if (watched.has(id)) return;
    watched.add(id);
    ports.clock.timer("rows settle", STILL_MS, () => {
      watched.delete(id);
      const peer = ports.members().find((member) => member.id === id);
      if (peer === undefined || !isHere(peer)) return;
      if (isOpen(peer)) watch(id, settled);
      else settled();
    });
  };
  const graceIsOver = () => ports.clock.nowMs() - startedMs > TIMES.deadGraceMs;
  return {
    mayRemove: ({ vtep }) => {
      // A neighbour whose MAC leads nowhere carries no packet: there is no doubt to wait out.
      if (vtep === undefined) return true;
      if (vtep === self.vtep) return true;
      const peers = ports.members().filter((member) => hostsOf(member).includes(vtep));
      if (peers.length === 0) return graceIsOver();
      return peers.every((peer) => {
        if (!ports.presence.entriesCount(peer.id) || ports.isForgotten(peer.id)) return true;
        return peer.state === "alive" && lifeOf(peer)?.isWhole === true;
      });
    },
    look: (settled) => {
      for (const peer of ports.members()) {
        if (isHere(peer) && isOpen(peer)) watch(peer.id, settled);
      }
    },
    mayRemoveEndpoint: (prefix) => ports.ownEndpointsKnown() && !ports.hasEndpoint(prefix),
  };
}
