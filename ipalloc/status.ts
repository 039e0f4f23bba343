/** What `status ipam` shows and what is wrong: pure reads of the state and the tables. */
import type { Log, Member, PeerId, Tables } from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import type { Applicant } from "./applicant.ts";
import type { Founder } from "./founder.ts";
import { initModeText } from "./init-mode.ts";
import type { Ledger } from "./ledger.ts";
import { recordAt, type StoreId } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import type { Problem } from "./problem.ts";
import { isLive } from "./reach.ts";
import { type Directory, directoryOf } from "./rows.ts";

export interface OwnedStatus {
  /** Name of the peer, or the store id when no known peer runs the store. */
  readonly peer: string;
  readonly store: StoreId;
  /** `first-last`, in order. */
  readonly ranges: readonly string[];
  readonly addresses: number;
  readonly used: number;
  readonly reachable: boolean;
}

export interface ConflictStatus {
  readonly ip: string;
  /** The lease key on this host. */
  readonly key: string;
  /** The store that owns the address by the records. */
  readonly owner: StoreId;
}

export interface PoolStatus {
  readonly subnet: string;
  readonly open: boolean;
  readonly gateway: string;
  readonly owned: readonly OwnedStatus[];
  readonly used: number;
  /** Usable addresses of the whole pool without a lease. */
  readonly free: number;
  readonly conflicts: readonly ConflictStatus[];
}

export interface IpAllocStatus {
  readonly store: StoreId;
  readonly founding: {
    readonly state: "founded" | "waiting";
    readonly meshId: string | null;
    readonly text: string;
  };
  readonly pools: readonly PoolStatus[];
}

export interface StatusPorts {
  readonly tables: Tables;
  readonly log: Log;
  readonly members: () => readonly Member[];
}

/** Everything `status ipam` shows. */
export function statusOf(ports: StatusPorts, ledger: Ledger, founder: Founder): IpAllocStatus {
  const { state } = ledger;
  const directory = directoryOf(ports.tables, state, ports.log);
  const members = new Map(ports.members().map((member) => [member.id, member]));
  const waiting = founder.waiting();
  const founders = state.founding?.founders.length ?? 0;
  return {
    store: state.store,
    founding: {
      state: waiting === undefined ? "founded" : "waiting",
      meshId: state.founding?.meshId ?? null,
      text: waiting ?? `founded by ${founders} ${founders === 1 ? "peer" : "peers"}`,
    },
    pools: [...state.pools.values()]
      .sort((a, b) => (a.cidr.start < b.cidr.start ? -1 : 1))
      .map((pool) => poolStatus(pool, directory, members)),
  };
}

/** What is wrong and what to do about it. */
export function problemsOf(
  ledger: Ledger,
  founder: Founder,
  { taken }: Pick<Applicant, "taken">,
): Problem[] {
  const problems: Problem[] = [...ledger.losses, ...founder.problems()];
  const { state } = ledger;
  const waiting = founder.waiting();
  if (waiting !== undefined) {
    const next = founder.advice();
    problems.push({ code: "NOT_FOUNDED", text: `no addresses yet: ${waiting}`, next });
  }
  for (const { meshId, peers, seeds } of founder.foreign()) {
    const theirs = `${meshId}${seededBy(seeds)}`;
    const mine = `${state.founding?.meshId}${seededBy(state.founding?.seeds)}`;
    problems.push({
      code: "MESH_CONFLICT",
      text: `${peers.join(", ")} belong to mesh ${theirs}, this peer to ${mine}`,
      next:
        `to give this mesh up: tsweave adopt ${peers[0]}; to give the other up: ` +
        "tsweave adopt NAME there, with the name of a peer of this mesh",
    });
  }
  for (const pool of state.pools.values()) {
    for (const { ip, owner } of conflictsOf(pool)) {
      const isTaken = taken.has(`${pool.cidr.text} ${ip}`);
      problems.push(isTaken ? takenBy(ip, owner) : waitsFor(ip, owner));
    }
  }
  if (ledger.doubtful) {
    const text = "the address journal cannot be written";
    problems.push({ code: "STATE_UNWRITABLE", text, next: "free space in the state directory" });
  }
  return problems;
}

function takenBy(ip: string, owner: StoreId): Problem {
  return {
    code: "ADDRESS_CONFLICT",
    text: `${ip} is in use here and elsewhere; it belongs to store ${owner}`,
    next: "restart the container that uses it to get another address",
    ip,
  };
}

function waitsFor(ip: string, owner: StoreId): Problem {
  return {
    code: "ADDRESS_UNCLAIMED",
    text: `${ip} is in use here and belongs to store ${owner}, which has not given it yet`,
    next: "nothing while its peer is up; else start it, or 'tsweave rmpeer' it if it is gone",
    ip,
  };
}

/** Two lists that differ are the usual reason of two meshes. */
function seededBy(seeds: readonly string[] | undefined): string {
  return seeds === undefined ? "" : ` (${initModeText({ kind: "seed", names: seeds })})`;
}

function poolStatus(
  pool: Pool,
  directory: Directory,
  members: ReadonlyMap<PeerId, Member>,
): PoolStatus {
  const owned = ownedOf(pool, directory, members);
  const used = owned.reduce((sum, item) => sum + item.used, 0);
  const size = Number(pool.cidr.end - pool.cidr.start);
  return {
    subnet: pool.cidr.text,
    open: pool.open,
    gateway: formatAddress(pool.gateway, pool.cidr.bits),
    owned,
    used,
    free: Math.max(0, size - 3 - pool.auxiliary.size - used),
    conflicts: conflictsOf(pool),
  };
}

function ownedOf(
  pool: Pool,
  directory: Directory,
  members: ReadonlyMap<PeerId, Member>,
): OwnedStatus[] {
  const byStore = new Map<StoreId, { first: bigint; last: bigint }[]>();
  for (const { start, end, owner } of pool.ownership) {
    const ranges = byStore.get(owner) ?? [];
    const previous = ranges.at(-1);
    if (previous !== undefined && previous.last + 1n === start) previous.last = end - 1n;
    else ranges.push({ first: start, last: end - 1n });
    byStore.set(owner, ranges);
  }
  // What runs here counts, also where another store owns the address.
  if (pool.leases.count > 0 && !byStore.has(pool.store)) byStore.set(pool.store, []);
  const { bits } = pool.cidr;
  return [...byStore].map(([store, ranges]) => {
    const peer = directory.peerOf(store);
    const member = peer === undefined ? undefined : members.get(peer);
    const own = store === pool.store;
    const self = [...members.values()].find((candidate) => candidate.self);
    return {
      peer: (own ? self?.name : member?.name) ?? peer ?? store,
      store,
      ranges: ranges.map(
        (range) => `${formatAddress(range.first, bits)}-${formatAddress(range.last, bits)}`,
      ),
      addresses: ranges.reduce((sum, { first, last }) => sum + Number(last - first) + 1, 0),
      used: own ? pool.leases.count : directory.used(store, pool.cidr.text),
      reachable: own || (member !== undefined && (member.self || isLive(member.state))),
    };
  });
}

/** Addresses given out here that the records now say are another's. */
function conflictsOf(pool: Pool): ConflictStatus[] {
  return [...pool.leases.entries()].flatMap(([address, { key }]) => {
    const owner = recordAt(pool.ownership, address)?.owner;
    if (owner === undefined || owner === pool.store) return [];
    return [{ ip: formatAddress(address, pool.cidr.bits), key, owner }];
  });
}
