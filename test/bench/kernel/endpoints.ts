/** What the kernel bench programs, and the shape of what it measures. */
import type { RemoteEndpoint } from "../../../overlay/model.ts";

export interface WorkerOptions {
  /** Part of the names of everything it makes. */
  readonly tag: string;
  readonly endpoints: number;
}

export interface Measured {
  readonly coldMs: number;
  /** Of the worker and of the tools it ran. */
  readonly coldCpuMs: number;
  /** Longest time that the event loop answered nothing. */
  readonly coldStallMs: number;
  readonly fullPassMs: number;
  readonly fullPassCpuMs: number;
  readonly fullPassStallMs: number;
  readonly oneMs: number;
  readonly oneGoneMs: number;
  /** One row added and removed again, with the full looks that follow within 4 s. */
  readonly oneCpuMs: number;
  readonly rssMib: number;
  readonly addedRssMib: number;
  readonly peakRssMib: number;
}

/** Entries that one remote endpoint takes: neighbour, forward, steer. */
export const ENTRIES = 3;

/** The n-th of up to 60 000 remote endpoints, on one of 200 hosts. */
export function remoteAt(n: number): RemoteEndpoint {
  const [high, low] = [Math.floor(n / 250), n % 250];
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return {
    id: n.toString(16).padStart(64, "e"),
    network: "tsweave",
    ip: `10.40.${high}.${low}`,
    mac: `02:42:0a:28:${hex(high)}:${hex(low)}`,
    vtep: `192.0.2.${2 + (n % 200)}`,
    peer: (n % 200).toString(16).padStart(32, "b"),
  };
}
