/** Which peers can be asked: those that membership sees, a suspect included. */
import type { Member, PeerId } from "../mesh/index.ts";

/** Whether a member can be asked. */
export function isLive(state: Member["state"]): boolean {
  return state === "alive" || state === "suspect";
}

/** Peers in reach, this one included. */
export function inReach(members: readonly Member[]): ReadonlySet<PeerId> {
  return new Set(members.flatMap(({ id, self, state }) => (self || isLive(state) ? [id] : [])));
}

/** Other peers in reach. */
export function othersInReach(members: readonly Member[]): ReadonlySet<PeerId> {
  return new Set(members.flatMap(({ id, self, state }) => (!self && isLive(state) ? [id] : [])));
}
