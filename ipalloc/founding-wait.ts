/** What people are told while a mesh is not founded: for whom it waits, and what helps. */
import type { Declared } from "./declared.ts";
import { lackOf, type Voter } from "./founding.ts";
import type { InitMode } from "./init-mode.ts";

export interface FoundingParts {
  readonly mode: InitMode;
  readonly declared: Declared;
  readonly voter: Voter;
  /** What came of the last ballot. */
  readonly obstacle: string | undefined;
  /** What founding by a list of seeds waits for. */
  readonly seeding: string | undefined;
}

/** Votes that are lacking even if all who are here agree. */
export function lackingVotes({ declared, voter }: Pick<FoundingParts, "declared" | "voter">) {
  return lackOf(voter, new Set([declared.self, ...declared.present()]));
}

/** What the founding waits for. */
export function waitingText(parts: FoundingParts): string | undefined {
  const { mode, declared, voter, obstacle } = parts;
  if (mode.kind === "seed") return parts.seeding;
  if (mode.kind === "observer") return observed(declared);
  const total = Math.max(voter.count, voter.declared.length);
  const unnamed = total - voter.declared.length;
  const more = lackingVotes(parts);
  if (more > 0) {
    const others = unnamed === 0 ? [] : [`${unnamed} that are not named`];
    const who = [...declared.missing(), ...others].join(", ");
    return `waiting for ${more} more of ${total} declared peers: ${who}`;
  }
  return `agreeing with the declared peers${obstacle === undefined ? "" : ` (${obstacle})`}`;
}

function observed(declared: Declared): string {
  const live = declared.live().map(({ name }) => name);
  const who = live.length === 0 ? "no peer is in reach" : `${live.join(", ")} not founded yet`;
  return `this peer is an observer and waits for a mesh that others found: ${who}`;
}

/** What a person can do about it. */
export function adviceFor({ kind }: InitMode): string {
  if (kind === "observer") {
    return "launch a peer that founds (not an observer) and name it here: tsweave connect PEER";
  }
  if (kind === "seed") {
    return "use the same --ipalloc-init on all hosts; see 'tsweave status ipam'";
  }
  return "start tsweave on those peers, or launch without naming peers to found a mesh alone";
}
