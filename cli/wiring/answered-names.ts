/**
 * Which names may be answered now, told to dns change by change: a row, a peer's verdict or a
 * network that changes costs the rows that it concerns.
 *
 * Law: presence decides. A dead host's names are left out at once, those of one that does not
 * answer just now are doubtful; own rows always count. Where only the daemon is down (it said so,
 * or its host refuses the connection) containers run on: their names are doubtful for as long as an
 * upgrade or a restart takes, and then left out.
 */
import type { DnsService, NameRecord } from "../../dns/index.ts";
import {
  type Cancel,
  type Clock,
  type Member,
  type PeerId,
  TIMES,
  type TypedChange,
  type TypedRow,
} from "../../mesh/index.ts";
import type { NamesRow, NetworkRow } from "../../overlay/index.ts";
import type { SharedRows } from "./shared-rows.ts";

interface AnsweredPorts {
  readonly rows: SharedRows;
  readonly dns: Pick<DnsService, "changeRecords">;
  readonly members: () => readonly Judged[];
  readonly clock: Clock;
}

/** What of a member names depend on. */
type Judged = Pick<Member, "id" | "state" | "sinceMs" | "evidence">;
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
  /** Ends of restarts that last too long. BOUNDED: one for a peer in #peers at most. */
  readonly #ends = new Map<PeerId, Cancel>();

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
  peerChanged(member: Judged): void {
    const known = this.#peers.get(member.id);
    if (known === undefined) return;
    const verdict = this.#judge(member);
    if (verdict === known.verdict) return;
    known.verdict = verdict;
    this.#tell(idsOf(member.id, known));
  }

  /** Nothing is told any more but by further changes. */
  close(): void {
    for (const cancel of this.#ends.values()) cancel();
    this.#ends.clear();
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
      if (known?.rows.size === 0) this.#forget(origin);
    } else if (known === undefined) {
      this.#peers.set(origin, { verdict: undefined, rows: new Map([[key, row]]) });
    } else known.rows.set(key, row);
  }

  #forget(peer: PeerId): void {
    this.#peers.delete(peer);
    this.#ends.get(peer)?.();
    this.#ends.delete(peer);
  }

  /** Peers whose first rows have come; of one that nobody has met no name is answered. */
  #judgeNew(peers: ReadonlySet<PeerId>): void {
    const fresh = [...peers].filter((peer) => this.#peers.get(peer)?.verdict === undefined);
    if (fresh.length === 0) return;
    const members = new Map(this.#ports.members().map((member) => [member.id, member]));
    for (const id of fresh) {
      const known = this.#peers.get(id);
      const verdict = this.#judge(members.get(id) ?? unmet(id));
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

  /** The verdict on a peer; one that holds only for a while is looked at again. */
  #judge(member: Judged): Verdict {
    const { id, state } = member;
    const { clock, members } = this.#ports;
    this.#ends.get(id)?.();
    this.#ends.delete(id);
    if (state === "alive" || id === this.#self) return "answered";
    if (state === "suspect") return "doubtful";
    const leftMs = isRestart(member) ? member.sinceMs + TIMES.restartGraceMs - clock.nowMs() : 0;
    if (leftMs <= 0) return "gone";
    const again = (): void => this.peerChanged(members().find((one) => one.id === id) ?? unmet(id));
    this.#ends.set(id, clock.timer("names of a restart", leftMs, again));
    return "doubtful";
  }
}

/** The daemon is down, its host is not. */
function isRestart({ state, evidence }: Judged): boolean {
  return state === "left" || (state === "dead" && evidence === "refused");
}

function unmet(id: PeerId): Judged {
  return { id, state: "dead", sinceMs: 0 };
}

/** The rows of a peer, or those of them on one network. */
function idsOf(origin: PeerId, { rows }: PeerNames, network?: string): RowId[] {
  const found: RowId[] = [];
  for (const [key, row] of rows) {
    if (network === undefined || row.network === network) found.push({ origin, key });
  }
  return found;
}
