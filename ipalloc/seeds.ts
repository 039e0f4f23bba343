/**
 * The founding that is computed: from one list of names everybody derives the same mesh id and a
 * store for each name, without a message. Which peer runs such a store is bound when it starts.
 *
 * Law: the record says its names, and is only taken for what these names give. Of two peers bound
 * to one store the earlier stands, then the smaller id: a join, so all come to the same.
 */
import { createHash } from "node:crypto";
import {
  LIMITS,
  type PeerId,
  readArray,
  readInteger,
  readString,
  type WireValue,
} from "../mesh/index.ts";
import type { Founding } from "./founding.ts";
import type { StoreId } from "./ownership.ts";
import { readStore } from "./ownership-codec.ts";
import type { Roster } from "./roster.ts";

/** Who runs the store of a seed, and since which wall clock. */
export interface Binding {
  readonly store: StoreId;
  readonly peer: PeerId;
  readonly atMs: number;
}

/** The founding record that these names give, in whatever order they are written. */
export function seedFounding(names: readonly string[]): Founding {
  const seeds = [...new Set(names)].sort();
  const meshId = digest(["mesh", ...seeds]);
  const founders = seeds
    .map((name) => seedStore(meshId, name))
    .map((store) => ({ store, peer: unboundPeer(store) }))
    .sort((a, b) => (a.store < b.store ? -1 : 1));
  return { meshId, founders, seeds };
}

/** The store that the first life of the peer `name` has in a seeded mesh. */
export function seedStore(meshId: string, name: string): StoreId {
  return digest(["store", meshId, name]);
}

/** Stands for the peer of a seed's store until that is known: no random id ends like this. */
function unboundPeer(store: StoreId): PeerId {
  return store.padEnd(32, "0");
}

/** The seed's name when `peer` only stands for a seed that was not seen yet. */
export function unboundSeed({ meshId, seeds = [] }: Founding, peer: PeerId): string | undefined {
  return seeds.find((name) => unboundPeer(seedStore(meshId, name)) === peer);
}

/** Whether `next` replaces `known` as the binding of one store. */
export function supersedes(next: Binding, known: Binding | undefined): boolean {
  if (known === undefined) return true;
  if (next.atMs !== known.atMs) return next.atMs < known.atMs;
  return next.peer < known.peer;
}

/** The roster with the peers that seeds turned out to be. */
export function boundRoster(roster: Roster, bindings: ReadonlyMap<StoreId, Binding>): Roster {
  if (bindings.size === 0) return roster;
  const members = roster.members.map((member) => {
    const peer = bindings.get(member.store)?.peer ?? member.peer;
    return { store: member.store, peer };
  });
  return { ...roster, members };
}

/** Wire value: [[store, peer, atMs]…]. */
export function encodeBindings(bindings: Iterable<Binding>): WireValue {
  return [...bindings].map(({ store, peer, atMs }) => [store, peer, atMs]);
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeBindings(value: WireValue | undefined, path: string): Binding[] {
  return readArray(value, path, 0, LIMITS.declaredMax).map((item) => {
    const [store, peer, atMs] = readArray(item, path, 3, 8);
    return {
      store: readStore(store, `${path}.store`),
      peer: readString(peer, `${path}.peer`, 32, /^[0-9a-f]{32}$/),
      atMs: readInteger(atMs, `${path}.atMs`),
    };
  });
}

function digest(words: readonly string[]): string {
  const text = ["tsweave seeds", ...words].join("\0");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
