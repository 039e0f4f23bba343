/**
 * The replicated tables as overlay and dns need them: remote endpoints, and names that may be
 * answered.
 *
 * Law: presence decides. A dead peer's names are left out at once, its endpoints only once its
 * host is proved gone; own rows always count.
 */
import { isIP } from "node:net";
import type { NameRecord } from "../../dns/index.ts";
import {
  hostsOf,
  type Log,
  type Member,
  type PeerId,
  type Tables,
  TypedTable,
} from "../../mesh/index.ts";
import {
  type EndpointRow,
  endpointFromWire,
  type NamesRow,
  type NetworkRow,
  namesFromWire,
  networkFromWire,
  type RemoteEndpoint,
} from "../../overlay/index.ts";
import type { Heirs } from "./heirs.ts";

interface SharedRowsPorts {
  readonly tables: Tables;
  readonly heirs: Heirs;
  readonly members: () => readonly Member[];
  readonly log: Log;
}

export class SharedRows {
  readonly endpoints: TypedTable<EndpointRow>;
  readonly names: TypedTable<NamesRow>;
  readonly networks: TypedTable<NetworkRow>;
  readonly heirs: Heirs;
  readonly #self: PeerId;
  readonly #members: () => readonly Member[];

  constructor(ports: SharedRowsPorts, self: PeerId) {
    const { tables, log } = ports;
    this.#self = self;
    this.#members = ports.members;
    this.heirs = ports.heirs;
    this.endpoints = new TypedTable(tables, "endpoints", endpointFromWire, log);
    this.names = new TypedTable(tables, "names", namesFromWire, log);
    this.networks = new TypedTable(tables, "networks", networkFromWire, log);
  }

  /** Endpoints of other hosts whose entries count. */
  remotes(): RemoteEndpoint[] {
    const found: RemoteEndpoint[] = [];
    const members = new Map(this.#members().map((member) => [member.id, member]));
    for (const { origin, key, row } of this.endpoints.rows()) {
      if (origin === this.#self || !this.heirs.entriesCount(origin)) continue;
      const vtep = vtepFrom(members.get(origin), row.vtep);
      found.push({ id: key, peer: origin, ...row, vtep });
    }
    return found;
  }

  /** Peers that have endpoint rows, with the underlay address that these name. */
  vteps(): Map<PeerId, string> {
    const found = new Map<PeerId, string>();
    for (const { origin, row } of this.endpoints.rows()) found.set(origin, row.vtep);
    return found;
  }

  /** All endpoint rows but those of hosts that came back as another peer. */
  *endpointRows(): Generator<{ origin: PeerId; key: string; row: EndpointRow }> {
    for (const typed of this.endpoints.rows()) {
      if (!this.heirs.disowned(typed.origin)) yield typed;
    }
  }

  /** Names that may be answered now. */
  nameRecords(): NameRecord[] {
    const found: NameRecord[] = [];
    for (const { origin, key, row } of this.names.rows()) {
      if (origin !== this.#self && !this.heirs.namesCount(origin)) continue;
      found.push({ endpointId: key, peer: origin, ...row });
    }
    return found;
  }

  /** Networks by name. The lowest peer id's row stands when peers disagree. */
  networkByName(name: string): NetworkRow | undefined {
    return this.#networksInOrder().find(({ key }) => key === name)?.row;
  }

  /** Each known network once. */
  networkList(): { name: string; row: NetworkRow }[] {
    const seen = new Map<string, NetworkRow>();
    for (const { key, row } of this.#networksInOrder()) if (!seen.has(key)) seen.set(key, row);
    return [...seen].map(([name, row]) => ({ name, row }));
  }

  #networksInOrder(): { origin: PeerId; key: string; row: NetworkRow }[] {
    return [...this.networks.rows()].sort((a, b) => (a.origin < b.origin ? -1 : 1));
  }
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
