/** What people ask about the networks of the mesh, and what they are told. */

/** A network to be made on every engine. */
export interface NetworkWish {
  readonly name: string;
  /** Undefined: one that is free, chosen by the name. */
  readonly subnet?: string | undefined;
  readonly internal: boolean;
  /** MTU of its containers; undefined: as each host's underlay allows. */
  readonly mtu?: number | undefined;
  readonly gateway?: string | undefined;
  readonly ipRange?: string | undefined;
}

/** `subnet`: which of two networks of one name. */
export interface RemoveNetwork {
  readonly name: string;
  readonly subnet?: string | undefined;
}

/**
 * `hosts`: live peers, this one included; `engines`: how many of them run Docker for the mesh;
 * `missing`: names of those among these that have not followed yet.
 */
export interface NetworkChange {
  readonly name: string;
  readonly subnet: string;
  /** Null where no engine has it. */
  readonly vni: number | null;
  readonly hosts: number;
  readonly engines: number;
  readonly missing: readonly string[];
}
