/**
 * The seam every membership engine stands behind: who is here, who is suspected, who is gone.
 *
 * Law: a dead or left peer stays a reconnect target, so a healed partition of any length rejoins
 * by itself; an engine never reports two live records for one peer id.
 */
import type { Cancel, HostPort, PeerId } from "../ports.ts";

export type MemberState = "alive" | "suspect" | "dead" | "left";

/**
 * What a peer says of itself; travels with membership. Within an incarnation only its addresses
 * change.
 */
export interface PeerMeta {
  readonly id: PeerId;
  /** Human name, the hostname unless told; 1 to 63 printable characters. */
  readonly name: string;
  /** Rises at each start of the daemon. */
  readonly incarnation: number;
  /**
   * Where its gossip port is reached; the host part is also its VTEP. Of a member: the address that
   * works from here, one of `hosts`.
   */
  readonly advertise: HostPort;
  /** Every address of its host in its own order, where it has several; the port is one. */
  readonly hosts?: readonly string[];
}

/** Why pings are not answered: nothing comes back, the port is closed, or only TCP passes. */
export type PathFault = "silent" | "refused" | "tcp-only";

/** Whether a peer answers this one, or only others. */
export interface DirectPath {
  readonly isDirect: boolean;
  /** Clock.nowMs() of the last change. */
  readonly sinceMs: number;
  /** Without a direct path only. */
  readonly why?: PathFault;
}

export interface Member extends PeerMeta {
  readonly state: MemberState;
  /** Clock.nowMs() of the last change of state. */
  readonly sinceMs: number;
  /** Smoothed round trip, null until measured. */
  readonly rttMs: number | null;
  readonly self: boolean;
  /** Only of a dead member, and only where the engine tells: what the verdict rests on. */
  readonly evidence?: Evidence;
  /** Of a live member, once measured. */
  readonly path?: DirectPath;
  /** Clock.nowMs() of the last packet of it, or answer to a ping, that came here itself. */
  readonly seenMs?: number;
}

/** `refused`: its host answers that the port is closed, the daemon is down; `silent`: nothing. */
export type Evidence = "silent" | "refused";

/** The engines; all peers of a mesh run the same one. */
export type EngineName = "swim" | "native";

/**
 * How long packets take between hosts: presets of the engine's patience. Each peer has its own; one
 * mesh may mix them.
 */
export type LatencyClass = "lan" | "wan";

/** An address this peer tries until it is a member: named by the operator or once known. */
export interface Target {
  readonly address: HostPort;
  readonly state: "connected" | "trying";
  readonly attempts: number;
}

export interface MemberEvent {
  readonly type: "alive" | "suspect" | "dead" | "left" | "updated";
  readonly member: Member;
}

/** What a person must look at; shown by status and doctor. */
export interface MembershipProblem {
  readonly code: "PEER_ID_SHARED" | "PEER_SUPERSEDED" | "ENGINE_DIFFERS";
  readonly peer: PeerId;
  readonly addresses: readonly HostPort[];
  readonly text: string;
  /** What to do about it. */
  readonly next: string;
}

/**
 * What the layer above says of its state, as it is at that moment: the first STATE_RIDER_BYTES on
 * every probe and every answer to one, the whole on each hello.
 */
export interface StateRider {
  readonly hash: () => Uint8Array;
  /** A live member showed the beginning of its own. */
  readonly heard: (peer: PeerId, hash: Uint8Array) => void;
  /** A member introduced itself with the whole of its own. */
  readonly met: (peer: PeerId, hash: Uint8Array) => void;
  /** A member just learned of is shown this peer's state: it will find whether they differ. */
  readonly told: (peer: PeerId) => void;
}

/** A wrong comparison is repaired by the layer above; probes are to stay small. */
export const STATE_RIDER_BYTES = 4;

export interface Membership {
  /** Starts probing; resolves once the engine listens. */
  start(): Promise<void>;
  /** Adds reconnect targets. Returns at once; a target is tried until it answers. */
  join(targets: readonly HostPort[]): void;
  /** Drops reconnect targets; members met through them stay. */
  forget(targets: readonly HostPort[]): void;
  /** Tells every live member that this peer leaves of its own will. */
  leave(): Promise<void>;
  /** Stops all timers and sockets' use; idempotent. */
  stop(): Promise<void>;
  /** Every known member, self first, then by id. */
  members(): readonly Member[];
  /** One of them, at the cost of a look-up. */
  member(id: PeerId): Member | undefined;
  targets(): readonly Target[];
  onEvent(receive: (event: MemberEvent) => void): Cancel;
  /** Absent in an engine whose probes carry nothing. */
  carry?(rider: StateRider): void;
}

/** Membership with a word on what a person must look at. */
export interface MembershipEngine extends Membership {
  problems(): readonly MembershipProblem[];
  /**
   * This host has other addresses from now on, the preferred first: says so to all. The port stays.
   * @throws TsweaveError CONFIG when they cannot be announced
   */
  relocate(hosts: readonly string[]): void;
}
