/**
 * The replicated tables as overlay needs them: remote endpoints and networks.
 *
 * Law: presence decides. A dead peer's endpoints are left out only once its host is proved gone;
 * own rows always count.
 */
import { isIP } from "node:net";
import {
  hostsOf,
  type Log,
  type Member,
  type PeerId,
  type Presence,
  type Tables,
  type TypedRow,
  TypedTable,
} from "../../mesh/index.ts";
import {
  type EndpointRow,
  endpointFromWire,
  type GroupsRow,
  groupsFromWire,
  type HostRow,
  hostFromWire,
  type NamesRow,
  type NetworkRow,
  namesFromWire,
  networkFromWire,
  networkLabel,
  type RemoteEndpoint,
  type RemoteGroups,
} from "../../overlay/index.ts";
import { EndpointCounts } from "./endpoint-counts.ts";
import { EndpointIndex } from "./endpoint-index.ts";

/** Whose rows count, as Presence says it. */
export type Verdicts = Pick<Presence, "entriesCount">;

interface SharedRowsPorts {
  readonly tables: Tables;
  readonly presence: Verdicts;
  readonly members: () => readonly Member[];
  readonly log: Log;
}

export class SharedRows {
  readonly endpoints: TypedTable<EndpointRow>;
  readonly names: TypedTable<NamesRow>;
  readonly networks: TypedTable<NetworkRow>;
  /** What each host says of its underlay. */
  readonly hosts: TypedTable<HostRow>;
  /** The groups that each host has members of. */
  readonly groups: TypedTable<GroupsRow>;
  readonly presence: Verdicts;
  readonly index: EndpointIndex;
  readonly #counts: EndpointCounts;
  readonly #self: PeerId;
  readonly #members: () => readonly Member[];

  constructor(ports: SharedRowsPorts, self: PeerId) {
    const { tables, log } = ports;
    this.#self = self;
    this.#members = ports.members;
    this.presence = ports.presence;
    this.endpoints = new TypedTable(tables, "endpoints", endpointFromWire, log);
    this.names = new TypedTable(tables, "names", namesFromWire, log);
    this.networks = new TypedTable(tables, "networks", networkFromWire, log);
    this.hosts = new TypedTable(tables, "hosts", hostFromWire, log);
    this.groups = new TypedTable(tables, "groups", groupsFromWire, log);
    this.index = new EndpointIndex(this.endpoints);
    this.#counts = new EndpointCounts(this.endpoints);
  }

  /** Endpoints of other hosts whose entries count: of all rows, or of those given. */
  remotes(among: Iterable<TypedRow<EndpointRow>> = this.endpoints.rows()): RemoteEndpoint[] {
    const found: RemoteEndpoint[] = [];
    const members = new Map(this.#members().map((member) => [member.id, member]));
    const counts = remembering((origin) => this.presence.entriesCount(origin));
    const shared = remembering((origin, network) => this.isShared(origin, network));
    const vteps = remembering((origin, written) => vtepFrom(members.get(origin), written));
    for (const { origin, key, row } of among) {
      if (origin === this.#self || !counts(origin, "")) continue;
      const { network, ip, mac } = row;
      if (!shared(origin, network)) continue;
      found.push({ id: key, peer: origin, network, ip, mac, vtep: vteps(origin, row.vtep) });
    }
    return found;
  }

  /** Groups that other hosts have members of, as far as their entries count. */
  remoteGroups(): RemoteGroups[] {
    const found: RemoteGroups[] = [];
    const members = new Map(this.#members().map((member) => [member.id, member]));
    for (const { origin, key: network, row } of this.groups.rows()) {
      if (origin === this.#self || !this.presence.entriesCount(origin)) continue;
      if (!this.isShared(origin, network)) continue;
      const vtep = vtepFrom(members.get(origin), row.vtep);
      found.push({ network, peer: origin, groups: row.groups, vtep });
    }
    return found;
  }

  /** Peers that have endpoint rows, with the underlay address that these name. */
  vteps(): Map<PeerId, string> {
    return new Map([...this.#counts.peers].map(([peer, { vtep }]) => [peer, vtep]));
  }

  /** Which network each peer has under each name, the lowest peer id first. */
  networkRows(): { origin: PeerId; key: string; row: NetworkRow }[] {
    return [...this.networks.rows()].sort((a, b) => (a.origin < b.origin ? -1 : 1));
  }

  /** A network by name. The lowest peer id's row stands when peers disagree. */
  networkByName(name: string): NetworkRow | undefined {
    return this.networkRows().find(({ key }) => key === name)?.row;
  }

  /** Each known network once: one name may have two, made on both sides of a cut. */
  networkList(): { name: string; row: NetworkRow; origins: PeerId[] }[] {
    const seen = new Map<string, { name: string; row: NetworkRow; origins: PeerId[] }>();
    for (const { origin, key: name, row } of this.networkRows()) {
      const label = networkLabel(name, row.subnet);
      const known = seen.get(label) ?? { name, row, origins: [] };
      known.origins.push(origin);
      seen.set(label, known);
    }
    return [...seen.values()];
  }

  /** Endpoints on a network, by name and subnet; in doubt an endpoint counts. */
  endpointsOn(
    name: string,
    subnet: string,
  ): { readonly origin: PeerId; readonly key: string; readonly row: EndpointRow }[] {
    return [...this.endpoints.rows()].filter(
      ({ origin, row }) => row.network === name && this.#isOn(origin, name, subnet),
    );
  }

  /** How many `endpointsOn` finds, on all hosts or on one. */
  countOn(name: string, subnet: string, host?: PeerId): number {
    let sum = 0;
    for (const [peer, { counts }] of this.#counts.peers) {
      const count = host === undefined || peer === host ? (counts.get(name) ?? 0) : 0;
      if (count === 0 || !this.#isOn(peer, name, subnet)) continue;
      sum += count;
    }
    return sum;
  }

  /** False for rows of a network that only shares its name with this host's. */
  isShared(origin: PeerId, name: string): boolean {
    const own = this.networks.get(this.#self, name);
    return own === undefined || this.#isOn(origin, name, own.subnet);
  }

  /** Whether what a peer calls `name` is the network with this subnet, as far as it is known. */
  #isOn(origin: PeerId, name: string, subnet: string): boolean {
    return (this.networks.get(origin, name)?.subnet ?? subnet) === subnet;
  }
}

/**
 * Asks once for each peer and word: fifty thousand rows are read in one turn, and those of one peer
 * all ask the same.
 */
function remembering<T>(ask: (origin: PeerId, word: string) => T) {
  /** BOUNDED: peers with rows, and what their rows name; of one call. */
  const known = new Map<PeerId, Map<string, T>>();
  return (origin: PeerId, word: string): T => {
    const own = known.get(origin) ?? new Map<string, T>();
    const answer = own.get(word) ?? ask(origin, word);
    known.set(origin, own.set(word, answer));
    return answer;
  };
}

/**
 * Where frames for a peer's endpoints are sent from here: the address of it that works here, or, as
 * a vxlan device sends over one IP version only, its first of the row's version. A row of a peer
 * that nobody has met since the start is taken at its word.
 */
export function vtepFrom(member: Member | undefined, written: string): string {
  if (member === undefined) return written;
  const isUsable = (host: string): boolean => isIP(host) === isIP(written);
  const { host } = member.advertise;
  return isUsable(host) ? host : (hostsOf(member).find(isUsable) ?? written);
}
