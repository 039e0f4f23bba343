/**
 * The operator's word that a mesh is given up and adopted by another: an edge from one mesh to
 * another, and where a peer has to go by all the edges it knows.
 *
 * Law: of two words about one mesh the newer stands, and of meshes that were given up in a circle
 * the one with the smallest id remains: whoever knows the same words goes to the same mesh.
 */
import { readArray, readInteger, TsweaveError, type WireValue } from "../mesh/index.ts";
import { decodeFounding, encodeFounding, type Founding } from "./founding.ts";
import { readStore } from "./ownership-codec.ts";

export interface Surrender {
  /** The mesh that is given up. */
  readonly mesh: string;
  readonly into: Founding;
  /** Wall clock of the word. */
  readonly sinceMs: number;
}

/** Words kept, the newest: a peer goes through few meshes in its life. */
export const SURRENDERS_MAX = 16;

/** Whether `next` replaces `known` about the same mesh. */
export function overrides(next: Surrender, known: Surrender | undefined): boolean {
  if (known === undefined) return true;
  if (next.sinceMs !== known.sinceMs) return next.sinceMs > known.sinceMs;
  return next.into.meshId < known.into.meshId;
}

/** Where a peer of mesh `from` has to go; undefined when it may stay. */
export function destinationOf(from: string, words: Iterable<Surrender>): Founding | undefined {
  const byMesh = new Map<string, Surrender>();
  for (const word of words) {
    if (overrides(word, byMesh.get(word.mesh))) byMesh.set(word.mesh, word);
  }
  const path: Founding[] = [];
  for (;;) {
    const next = byMesh.get(path.at(-1)?.meshId ?? from)?.into;
    if (next === undefined) return path.at(-1);
    const at = path.findIndex(({ meshId }) => meshId === next.meshId);
    if (at < 0 && next.meshId !== from) {
      path.push(next);
      continue;
    }
    const circle = path.slice(Math.max(at, 0));
    const least = circle.reduce((best, one) => (one.meshId < best.meshId ? one : best));
    return at < 0 && from < least.meshId ? undefined : least;
  }
}

/** Wire value: [mesh, founding, sinceMs]. */
export function encodeSurrender({ mesh, into, sinceMs }: Surrender): WireValue {
  return [mesh, encodeFounding(into), sinceMs];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeSurrender(value: WireValue | undefined, path: string): Surrender {
  const [from, founding, atMs] = readArray(value, path, 3, 8);
  const mesh = readStore(from, `${path}.mesh`);
  const into = decodeFounding(founding, `${path}.into`);
  if (into.meshId === mesh) throw new TsweaveError("BAD_MESSAGE", `${path}: into itself`);
  return { mesh, into, sinceMs: readInteger(atMs, `${path}.sinceMs`) };
}
