/** What containers' packets may have on the way to a peer, by the proofs of its tunnel. Pure. */
import type { Member } from "../../mesh/index.ts";
import type { PathFinding } from "../../overlay/index.ts";

/**
 * Largest packet that its tunnel takes; null where nothing passes. `fullBytes`: what all hosts
 * agreed on, which is true until a probe shows less.
 */
export function mtuTo(
  { state, path, advertise }: Member,
  findings: readonly PathFinding[],
  fullBytes: number,
): number | null {
  if (state !== "alive" || path?.isDirect === false) return null;
  const found = findings.find(({ vtep }) => vtep === advertise.host);
  if (found?.kind === "blocked") return null;
  return found?.kind === "narrow" ? found.passesBytes : fullBytes;
}
