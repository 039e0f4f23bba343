/**
 * The founding of a mesh: one record, agreed once, from which the first division of every pool is
 * computed without a message.
 *
 * Law: a mesh has one founding record for ever; a store that is not in it starts with nothing and
 * is given space. Whoever knows the record computes the same division.
 */
import {
  type HostPort,
  LIMITS,
  type PeerId,
  readArray,
  readString,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import type { Cidr } from "./cidr.ts";
import type { Interval, Ownership, StoreId } from "./ownership.ts";
import { readStore } from "./ownership-codec.ts";
import { seedFounding } from "./seeds.ts";

export interface Founder {
  readonly store: StoreId;
  readonly peer: PeerId;
}

export interface Founding {
  /** 64 random bits as 16 lower-case hex digits. */
  readonly meshId: string;
  /** At least one; sorted by store, without repetition. */
  readonly founders: readonly Founder[];
  /** The names it was computed from, sorted; undefined when it was agreed or made alone. */
  readonly seeds?: readonly string[];
}

/** The record of a founding; the surplus over foundersMax will ask for space like later peers. */
export function makeFounding(meshId: string, founders: Iterable<Founder>): Founding {
  const byStore = new Map([...founders].map(({ store, peer }) => [store, { store, peer }]));
  const sorted = [...byStore.values()].sort((a, b) => (a.store < b.store ? -1 : 1));
  return { meshId, founders: sorted.slice(0, LIMITS.foundersMax) };
}

/** Generation 0, step 0 of a pool: contiguous shares that differ by at most one address. */
export function divide(cidr: Cidr, founding: Founding): Ownership {
  const size = cidr.end - cidr.start;
  const count = BigInt(founding.founders.length);
  const shares: Interval[] = [];
  founding.founders.forEach(({ store }, index) => {
    const start = cidr.start + (size * BigInt(index)) / count;
    const end = cidr.start + (size * BigInt(index + 1)) / count;
    if (start < end) shares.push({ start, end, generation: 0, step: 0, owner: store, by: store });
  });
  return shares;
}

/** Wire value: [meshId, [[store, peer]…]], and the names of the seeds if it was computed. */
export function encodeFounding({ meshId, founders, seeds }: Founding): WireValue {
  const pairs = founders.map(({ store, peer }) => [store, peer]);
  return seeds === undefined ? [meshId, pairs] : [meshId, pairs, seeds];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeFounding(value: WireValue | undefined, path: string): Founding {
  const [mesh, list, names] = readArray(value, path, 2, 8);
  const meshId = readStore(mesh, `${path}.meshId`);
  if (names !== undefined && names !== null) return decodeSeeded(meshId, names, path);
  const founders = readArray(list, `${path}.founders`, 1, LIMITS.foundersMax).map((item) => {
    const [store, peer] = readArray(item, `${path}.founder`, 2, 8);
    return {
      store: readStore(store, `${path}.store`),
      peer: readString(peer, `${path}.peer`, 32, /^[0-9a-f]{32}$/),
    };
  });
  const founding = makeFounding(meshId, founders);
  const ordered = founding.founders.every(({ store }, index) => founders[index]?.store === store);
  if (founding.founders.length !== founders.length || !ordered) {
    throw new TsweaveError("BAD_MESSAGE", `${path}.founders: not sorted or repeated`);
  }
  return founding;
}

/** A computed record is taken for what its names give, whatever else came with it. */
function decodeSeeded(meshId: string, names: WireValue, path: string): Founding {
  const seeds = readArray(names, `${path}.seeds`, 1, LIMITS.declaredMax).map((name) =>
    readString(name, `${path}.seeds`, 63, /^[\x21-\x7e]+$/),
  );
  const founding = seedFounding(seeds);
  if (founding.meshId === meshId) return founding;
  throw new TsweaveError("BAD_MESSAGE", `${path}.seeds: of another mesh than the record's`);
}

/** How a declared peer is known before anything else of it is: `host:port`, `[v6]:port`. */
export function addressKey({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One who votes, with the peers its operator declared (itself included). */
export interface Voter {
  readonly peer: PeerId;
  readonly store: StoreId;
  readonly address: string;
  readonly declared: readonly string[];
  /** How many peers its operator says found the mesh; those not declared may be anybody. */
  readonly count: number;
}

/** Votes that make a majority of `size` peers. */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** How many votes a voter that sees `present` still needs; at most 0 when it has enough. */
export function lackOf(
  { declared, count }: Pick<Voter, "declared" | "count">,
  present: ReadonlySet<string>,
): number {
  const named = new Set(declared);
  const seen = [...named].filter((address) => present.has(address)).length;
  const others = [...present].filter((address) => !named.has(address)).length;
  const unnamed = Math.max(0, count - named.size);
  return majorityOf(named.size + unnamed) - seen - Math.min(others, unnamed);
}

/**
 * The largest set among `voters` in which each member sees a majority of its own declared set:
 * every peer's operator decides whom that peer's consent needs, so a count given too small on one
 * host cannot found a second mesh. Empty when there is none.
 */
export function quorumOf(voters: readonly Voter[]): readonly Voter[] {
  let quorum = voters;
  for (;;) {
    const present = new Set(quorum.map(({ address }) => address));
    const kept = quorum.filter((voter) => lackOf(voter, present) <= 0);
    if (kept.length === quorum.length) return kept;
    quorum = kept;
  }
}
