/**
 * What other peers' `founding` rows say: their mesh, and the meshes that were given up.
 * Row `mesh` is a founding record; a row `given-up-MESH` is the operator's word about that mesh.
 */
import type { Log, Member, PeerId, Tables, WireValue } from "../mesh/index.ts";
import { decodeFounding, type Founding } from "./founding.ts";
import { once } from "./read-once.ts";
import { tryRead } from "./rows.ts";
import { decodeSurrender, encodeSurrender, type Surrender } from "./surrender.ts";

const MESH = "mesh";
const GIVEN_UP = "given-up-";

const readFounding = once((value: WireValue) => decodeFounding(value, "founding"));
const readSurrender = once((value: WireValue) => decodeSurrender(value, "given-up"));

interface Readable {
  readonly tables: Tables;
  readonly log: Log;
}

export interface FoundingShown {
  readonly origin: PeerId;
  readonly founding: Founding;
}

/** Another mesh that is in reach. */
export interface ForeignMesh {
  readonly meshId: string;
  readonly peers: readonly string[];
  readonly seeds: readonly string[] | undefined;
}

/** The founding record that each other peer shows. */
export function foundingsShown({ tables, log }: Readable, self: PeerId): FoundingShown[] {
  return tables.rows("founding").flatMap((row) => {
    if (row.key !== MESH || row.origin === self) return [];
    const founding = tryRead(row, log, readFounding);
    return founding === undefined ? [] : [{ origin: row.origin, founding }];
  });
}

/** The record that most peers show, the smallest mesh id of several. */
export function mostShown(records: readonly FoundingShown[]): Founding | undefined {
  const counts = new Map<string, { founding: Founding; peers: number }>();
  for (const { founding } of records) {
    const peers = (counts.get(founding.meshId)?.peers ?? 0) + 1;
    counts.set(founding.meshId, { founding, peers });
  }
  const order = [...counts.values()].sort(
    (a, b) => b.peers - a.peers || (a.founding.meshId < b.founding.meshId ? -1 : 1),
  );
  return order[0]?.founding;
}

/** Meshes other than `mine` that live peers show. */
export function foreignMeshes(
  mine: Founding,
  records: readonly FoundingShown[],
  live: readonly Member[],
): ForeignMesh[] {
  const names = new Map(live.map(({ id, name }) => [id, name]));
  const meshes = new Map<string, ForeignMesh>();
  for (const { origin, founding } of records) {
    const name = names.get(origin);
    if (founding.meshId === mine.meshId || name === undefined) continue;
    const { meshId, seeds } = founding;
    const known = meshes.get(meshId)?.peers ?? [];
    meshes.set(meshId, { meshId, seeds, peers: [...known, name].sort() });
  }
  return [...meshes.values()];
}

/** The words about meshes that were given up, those that `count`. */
export function surrendersShown(
  { tables, log }: Readable,
  counts: (word: Surrender, origin: PeerId) => boolean = () => true,
): Surrender[] {
  return tables.rows("founding").flatMap((row) => {
    if (!row.key.startsWith(GIVEN_UP)) return [];
    const word = tryRead(row, log, readSurrender);
    const isKey = word !== undefined && row.key === GIVEN_UP + word.mesh;
    return isKey && counts(word, row.origin) ? [word] : [];
  });
}

/** Shows one word to everybody. */
export function showSurrender(tables: Tables, word: Surrender): void {
  tables.put("founding", GIVEN_UP + word.mesh, encodeSurrender(word));
}
