/**
 * What the map shows, as the daemon streams it to the page.
 *
 * Law: no import, for the daemon and the browser both compile this file. Nothing here changes by
 * itself with time (ages, uptimes): a quiet mesh has a quiet stream.
 */

export type HostState = "alive" | "suspect" | "dead" | "left";

/** The daemon that answers, and what it says of itself. */
export interface MapSummary {
  readonly version: string;
  /** Id of its peer. */
  readonly self: string;
  readonly problems: readonly {
    readonly code: string;
    readonly text: string;
    readonly next: string | null;
  }[];
  /** Facts for people, in the order to be shown. */
  readonly facts: readonly { readonly name: string; readonly text: string }[];
  /** Rows that exist and are not sent. */
  readonly hidden: { readonly hosts: number; readonly endpoints: number };
}

export interface MapHost {
  /** Its peer's id. */
  readonly key: string;
  readonly name: string;
  /** `host:port` in use from here; empty where only endpoints tell of the host. */
  readonly address: string;
  /** All of them, the one it prefers first. */
  readonly addresses: readonly string[];
  readonly state: HostState;
  readonly self: boolean;
  /** Two significant digits. */
  readonly rttMs: number | null;
  /** Whether it answers the daemon itself, not only through others; null: itself, or not known. */
  readonly direct: boolean | null;
  readonly fault: string | null;
  /** Of the tunnels between the daemon's host and this one; two digits; null: unknown. */
  readonly inBytesPerSecond: number | null;
  readonly outBytesPerSecond: number | null;
}

export interface MapNetwork {
  /** Name and subnet: in a partition two of one name can be made. */
  readonly key: string;
  readonly name: string;
  readonly vni: number;
  readonly subnet: string;
  readonly mtu: number;
  readonly internal: boolean;
  readonly endpoints: number;
  /** Names of the peers whose engine has it. */
  readonly present: readonly string[];
  readonly conflicts: readonly string[];
}

export interface MapEndpoint {
  readonly key: string;
  /** Key of its host. */
  readonly host: string;
  /** Name of the network. */
  readonly network: string;
  /** Empty as long as the engine has not told it. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly ip: string;
  readonly mac: string;
  readonly state: HostState | "unplugged";
}

export interface MapModel {
  readonly summary: MapSummary;
  readonly hosts: readonly MapHost[];
  readonly networks: readonly MapNetwork[];
  readonly endpoints: readonly MapEndpoint[];
}
