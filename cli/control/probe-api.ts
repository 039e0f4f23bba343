/** Part of the control API: what one host measures towards others when `tsweave test` asks it. */
import type { ConnectionRow } from "./api.ts";

/** Targets of one question; more are asked in several. */
export const PROBE_TARGETS_MAX = 16;

/** `from`, `to`: ids of peers; `from` may be this peer's own. */
export interface ProbeWish {
  readonly from: string;
  readonly to: readonly string[];
}

/** ICMP echoes that must not be cut, as `ping` sends them. */
export interface ProbedPath {
  readonly rttMs: number | null;
  /** Largest IP packet that came back whole; null when none did. */
  readonly largestBytes: number | null;
  /** What must pass for containers' largest packets. */
  readonly neededBytes: number;
  /** Why there is no measurement; null when there is one. */
  readonly error: string | null;
}

/** One ordered pair, as the first host measured it. */
export interface ProbeRow {
  /** Ids. */
  readonly from: string;
  readonly to: string;
  /** As in `status connections` of the first host; null: it does not know the second. */
  readonly gossip: ConnectionRow["state"] | null;
  readonly direct: boolean | null;
  readonly rttMs: number | null;
  /** A question over the stream port; null: no answer. */
  readonly streamMs: number | null;
  readonly underlay: ProbedPath | null;
  /** What the daemon's own probes say of the tunnel, as `mtuBytes` in `status connections`. */
  readonly tunnelBytes: number | null;
  /** From a container there to one here; null where there is no pair on one network. */
  readonly tunnel: (ProbedPath & { readonly network: string }) | null;
  /** Why the first host could not be asked at all, or what else stopped it. */
  readonly error: string | null;
}

/** What is wrong between two hosts, the plainest first. */
export const PAIR_FAULTS = ["unasked", "gossip", "direct", "stream", "underlay", "tunnel"] as const;
export type PairFault = (typeof PAIR_FAULTS)[number];

/** The object that `tsweave test --json` prints. */
export interface MeshTest {
  readonly ok: boolean;
  readonly peers: readonly { readonly id: string; readonly name: string }[];
  /** Peers that are known and not alive: not tested. */
  readonly absent: readonly { readonly id: string; readonly name: string }[];
  /** Ordered pairs of `peers`, and how many of them were tried. */
  readonly pairsAll: number;
  readonly pairsTried: number;
  readonly tunnelsTried: number;
  readonly pairs: readonly (ProbeRow & {
    readonly faults: readonly PairFault[];
    /** For people, with the next command; null when all is well. */
    readonly text: string | null;
    readonly next: string | null;
  })[];
  readonly tookMs: number;
}
