/** What a starting daemon tells the one who started it, as one JSON object a line. */
import type { HealthProblem } from "./control/api.ts";
import type { ErrorBody } from "./control/error-body.ts";

/** A Docker that took the question and gave no answer for so long. */
export interface DockerSilence {
  readonly waitedMs: number;
}

/** What `launch` did. */
export interface LaunchSummary {
  readonly version: string;
  readonly peer: { readonly id: string; readonly name: string };
  /** `host:port`. */
  readonly advertise: string;
  /** The container network; `onEngine` tells whether it now exists on a Docker Engine. */
  readonly network: {
    readonly name: string;
    readonly subnet: string;
    readonly onEngine: boolean;
  };
  /** Peers named at launch, how many of them had answered, and how many others are alive in all. */
  readonly peersNamed: number;
  readonly peersReached: number;
  readonly peersAlive: number;
  readonly docker: {
    readonly enabled: boolean;
    readonly socket: string;
    readonly version: string | null;
    /** Null when it answered, or was not asked. */
    readonly silence: DockerSilence | null;
  };
  /** What is not as it should be although the peer serves. */
  readonly problems: readonly HealthProblem[];
}

export type LaunchEvent =
  | { readonly ready: true; readonly summary: LaunchSummary }
  | { readonly progress: string };

export type LaunchMessage = LaunchEvent | { readonly error: ErrorBody };
