/**
 * A long JSON array of rows, as `ip -j` and `bridge -j` print it on one line, read a piece at a
 * time: ten megabytes in one go are half a second in which nobody is answered.
 *
 * Law: the rows are those that JSON.parse would give, or it is an error. A piece is cut behind a
 * `}`; what is no JSON then was cut inside a row or a word, and is read together with what follows.
 */
import { messageOf, TsweaveError } from "../mesh/index.ts";
import type { Sliced } from "./slices.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Some 500 rows, read in one or two milliseconds. */
const PIECE_CHARS = 65_536;
const CUT = "},{";

/**
 * Hands over the rows of an array that are objects. Throws `COMMAND_FAILED`, naming `what`, when
 * the text is no JSON array; some rows may have been handed over then.
 */
export function* jsonRows(text: string, what: string, take: (row: Fields) => void): Sliced<void> {
  let from = 0;
  let chars = PIECE_CHARS;
  for (;;) {
    const cut = text.indexOf(CUT, from + chars);
    const start = from === 0 ? "" : "[";
    if (cut < 0) return takeRows(parsed(`${start}${text.slice(from)}`, what), what, take);
    const piece = parsedPiece(`${start}${text.slice(from, cut + 1)}]`);
    if (piece === undefined) {
      chars *= 2;
    } else {
      takeRows(piece, what, take);
      from = cut + 2;
      chars = PIECE_CHARS;
    }
    yield;
  }
}

function takeRows(rows: unknown, what: string, take: (row: Fields) => void): void {
  if (!Array.isArray(rows)) throw new TsweaveError("COMMAND_FAILED", `${what}: no JSON array`);
  // `ip -j addr show` prints {} for a link that the filter left out.
  for (const row of rows) if (typeof row === "object" && row !== null) take(row);
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TsweaveError("COMMAND_FAILED", `${what}: no JSON: ${messageOf(error)}`);
  }
}

/** Undefined where the cut was no good one. */
function parsedPiece(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
