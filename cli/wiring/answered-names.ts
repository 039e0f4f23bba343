/**
 * Which names may be answered now, told to dns change by change: a row, a peer's verdict or a
 * network that changes costs the rows that it concerns.
 *
 * Law: presence decides. A dead peer's names are left out at once, those of one that does not
 * answer just now are doubtful; own rows always count.
 */
import type { DnsService, NameRecord } from "../../dns/index.ts";
import type { Member, PeerId, TypedChange, TypedRow } from "../../mesh/index.ts";
import type { NamesRow, NetworkRow } from "../../overlay/index.ts";
import type { SharedRows } from "./shared-rows.ts";

interface AnsweredPorts {
  readonly rows: SharedRows;
  readonly dns: Pick<DnsService, "changeRecords">;
  readonly members: () => readonly Member[];
}

type Verdict = "answered" | "doubtful" | "gone";
type RowId = Pick<TypedRow<NamesRow>, "origin" | "key">;

interface PeerNames {
  /** Undefined until judged. */
  verdict: Verdict | undefined;
  /** BOUNDED: rowsPerOriginMax. */
  readonly rows: Map<string, NamesRow>;
}

export class AnsweredNames {
  readonly #ports: AnsweredPorts;
  readonly #self: PeerId;
  /** BOUNDED: peersMax; those with rows. */
  readonly #peers = new Map<PeerId, PeerNames>();

  /** Tells dns what the tables already hold, and from now on what becomes of it. */
  constructor(ports: AnsweredPorts, self: PeerId) {
    this.#ports = ports;
    this.#self = self;
    const { names, networks } = ports.rows;
    this.#take([...names.rows()].map((after) => ({ before: undefined, after })));
    names.onChange((changes) => this.#take(changes));
    networks.onChange((changes) => {
      for (const change of changes) this.#takeNetwork(change);
    });
  }

  /** To be called with what membership has new of a peer. */
  peerChanged(member: Pick<Member, "id" | "state">): void {
    const known = this.#peers.get(member.id);
    if (known === undefined) return;
    const verdict = this.#verdictOn(member);
    if (verdict === known.verdict) return;
    known.verdict = verdict;
    this.#tell(idsOf(member.id, known));
  }

  #take(changes: readonly TypedChange<NamesRow>[]): void {
    const touched: RowId[] = [];
    for (const { before, after } of changes) {
      const id = after ?? before;
      if (id === undefined) continue;
      this.#keep(id, after?.row);
      touched.push(id);
    }
    this.#judgeNew(new Set(touched.map(({ origin }) => origin)));
    this.#tell(touched);
  }

  /** Rows of a network that only shares its name with this host's are none of ours. */
  #takeNetwork({ before, after }: TypedChange<NetworkRow>): void {
    const id = after ?? before;
    if (id === undefined || before?.row.subnet === after?.row.subnet) return;
    const isOwn = id.origin === this.#self;
    const peers = isOwn ? [...this.#peers.keys()] : [id.origin];
    for (const peer of peers) {
      const known = this.#peers.get(peer);
      if (known !== undefined) this.#tell(idsOf(peer, known, id.key));
    }
  }

  #keep({ origin, key }: RowId, row: NamesRow | undefined): void {
    const known = this.#peers.get(origin);
    if (row === undefined) {
      known?.rows.delete(key);
      if (known?.rows.size === 0) this.#peers.delete(origin);
    } else if (known === undefined) {
      this.#peers.set(origin, { verdict: undefined, rows: new Map([[key, row]]) });
    } else known.rows.set(key, row);
  }

  /** Peers whose first rows have come; of one that nobody has met no name is answered. */
  #judgeNew(peers: ReadonlySet<PeerId>): void {
    const fresh = [...peers].filter((peer) => this.#peers.get(peer)?.verdict === undefined);
    if (fresh.length === 0) return;
    const members = new Map(this.#ports.members().map((member) => [member.id, member]));
    for (const id of fresh) {
      const known = this.#peers.get(id);
      const verdict = this.#verdictOn(members.get(id) ?? { id, state: "dead" });
      if (known !== undefined) known.verdict = verdict;
    }
  }

  /** Brings dns up to what is known of these rows now. */
  #tell(ids: readonly RowId[]): void {
    if (ids.length === 0) return;
    const gone: { peer: PeerId; endpointId: string }[] = [];
    const come: NameRecord[] = [];
    for (const { origin, key } of ids) {
      const record = this.#recordOf(origin, key);
      if (record === undefined) gone.push({ peer: origin, endpointId: key });
      else come.push(record);
    }
    this.#ports.dns.changeRecords(gone, come);
  }

  #recordOf(peer: PeerId, endpointId: string): NameRecord | undefined {
    const known = this.#peers.get(peer);
    const row = known?.rows.get(endpointId);
    if (known === undefined || row === undefined || known.verdict === "gone") return undefined;
    const { network, ip, names, ports, isUnhealthy } = row;
    if (!this.#ports.rows.isShared(peer, network)) return undefined;
    const isDoubtful = isUnhealthy || known.verdict === "doubtful";
    return { network, names, ip, peer, endpointId, ports, isDoubtful };
  }

  #verdictOn({ id, state }: Pick<Member, "id" | "state">): Verdict {
    if (state === "alive" || id === this.#self) return "answered";
    return state === "suspect" ? "doubtful" : "gone";
  }
}

/** The rows of a peer, or those of them on one network. */
function idsOf(origin: PeerId, { rows }: PeerNames, network?: string): RowId[] {
  const found: RowId[] = [];
  for (const [key, row] of rows) {
    if (network === undefined || row.network === network) found.push({ origin, key });
  }
  return found;
}
