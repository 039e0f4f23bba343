/** What `status groups` answers. Law: as for api.ts, fields are only added. */

/** A multicast group of a network of this host that somebody listens to. */
export interface GroupRow {
  /** Name of the network. */
  readonly network: string;
  readonly group: string;
  /** This host's members, by the names of their containers. */
  readonly containers: readonly string[];
  /** Names of the peers that have members: each gets a copy of what is sent here. */
  readonly peers: readonly string[];
}

export interface GroupsReply {
  readonly groups: readonly GroupRow[];
  /** Groups joined here that peers are not told of, because there are too many. */
  readonly notTold: number;
}
