/** Part of the control API: this host as it was launched, and what peers say of themselves. */
import type { NamespaceRow } from "./api.ts";

/** This host as its daemon was launched, for doctor, ping and report. No secret is in it. */
export interface HostFacts {
  readonly config: {
    readonly port: number;
    readonly vxlanPort: number;
    readonly ipallocRange: string;
    readonly network: string;
    readonly encrypted: boolean;
    readonly dns: boolean;
    readonly docker: boolean;
    readonly stateDir: string;
    readonly runDir: string;
    readonly dockerSocket: string;
    readonly pluginDir: string;
  };
  /** This host's first address as peers know it, and the MTU of the device that has it. */
  readonly address: string;
  readonly underlayMtuBytes: number;
  readonly namespaces: readonly NamespaceRow[];
  /** Network namespaces of containers whose lookups are answered here. */
  readonly sandboxes: readonly { readonly key: string; readonly networks: readonly string[] }[];
}

/** What a peer answered, or why it did not: then `error` is set and the facts are null. */
export interface PeerAnswer {
  readonly peer: string;
  readonly id: string;
  /** Round trip of the question over TCP, connection included. */
  readonly tookMs: number | null;
  readonly version: string | null;
  readonly vxlanPort: number | null;
  readonly underlayMtuBytes: number | null;
  /** How far its wall clock is ahead of this host's. */
  readonly clockAheadMs: number | null;
  /** What on that host overlaps the mesh's subnets; null when not asked, or not told. */
  readonly overlaps: readonly string[] | null;
  readonly error: string | null;
}
