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

/** `missing`: names of the live peers that have not followed yet. */
export interface NetworkChange {
  readonly name: string;
  readonly subnet: string;
  /** Null where no engine has it. */
  readonly vni: number | null;
  readonly missing: readonly string[];
}
