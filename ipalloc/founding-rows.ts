/**
 * What other peers' `founding` rows say: their mesh, and the meshes that were given up.
 * Row `mesh` is a founding record; a row `given-up-MESH` is the operator's word about that mesh.
 */
import type { Log, PeerId, Tables } from "../mesh/index.ts";
import { decodeFounding, type Founding } from "./founding.ts";
import { tryRead } from "./rows.ts";
import { decodeSurrender, encodeSurrender, type Surrender } from "./surrender.ts";

const MESH = "mesh";
const GIVEN_UP = "given-up-";

interface Readable {
  readonly tables: Tables;
  readonly log: Log;
}

/** The founding record that each other peer shows. */
export function foundingsShown(
  { tables, log }: Readable,
  self: PeerId,
): { readonly origin: PeerId; readonly founding: Founding }[] {
  return tables.rows("founding").flatMap((row) => {
    if (row.key !== MESH || row.origin === self) return [];
    const founding = tryRead(row, log, (value) => decodeFounding(value, "founding"));
    return founding === undefined ? [] : [{ origin: row.origin, founding }];
  });
}

/** The words about meshes that were given up, those that `count`. */
export function surrendersShown(
  { tables, log }: Readable,
  counts: (word: Surrender, origin: PeerId) => boolean = () => true,
): Surrender[] {
  return tables.rows("founding").flatMap((row) => {
    if (!row.key.startsWith(GIVEN_UP)) return [];
    const word = tryRead(row, log, (value) => decodeSurrender(value, "given-up"));
    const isKey = word !== undefined && row.key === GIVEN_UP + word.mesh;
    return isKey && counts(word, row.origin) ? [word] : [];
  });
}

/** Shows one word to everybody. */
export function showSurrender(tables: Tables, word: Surrender): void {
  tables.put("founding", GIVEN_UP + word.mesh, encodeSurrender(word));
}
