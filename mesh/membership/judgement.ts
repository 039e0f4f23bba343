/**
 * What to make of a record that someone sent, given what is already held of that peer.
 *
 * Law: a death verdict is never taken from others, it only starts a suspicion here that the peer
 * can refute, so two halves of a healed partition do not bury each other's living neighbours.
 * A peer's own word that it left is final for that life.
 */
import type { MemberState } from "./membership.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";

/** `contradiction`: someone reaches a peer that is dead here; it should be asked directly. */
export type Judgement = MemberState | "stale" | "contradiction" | "implausible";

/**
 * A peer refutes at most once a suspicion, so no honest record runs this far ahead; a forged one
 * cannot push the number to where refuting becomes impossible.
 */
const REFUTATION_JUMP_MAX = 2 ** 20;
const ERA_JUMP_MAX = 16;

/** The state to take over from `incoming`, or why not to. */
export function judge(known: PeerRecord | undefined, incoming: PeerRecord): Judgement {
  const order = known === undefined ? 1 : compareLives(lifeOf(incoming), lifeOf(known));
  if (order < 0) return "stale";
  if (incoming.era > (known?.era ?? 0) + ERA_JUMP_MAX) return "implausible";
  const floor = order === 0 && known !== undefined ? known.refutation : 0;
  if (incoming.refutation > floor + REFUTATION_JUMP_MAX) return "implausible";
  if (known === undefined) return incoming.state === "left" ? "stale" : incoming.state;
  if (order > 0) return incoming.state === "dead" ? "suspect" : incoming.state;
  return isGone(known) ? judgeGone(known, incoming) : judgeLive(known, incoming);
}

function isGone(record: PeerRecord): boolean {
  return record.state === "dead" || record.state === "left";
}

function judgeGone(known: PeerRecord, incoming: PeerRecord): Judgement {
  const ahead = incoming.refutation - known.refutation;
  if (incoming.state === "left") return known.state === "dead" && ahead >= 0 ? "left" : "stale";
  if (incoming.state === "dead" || ahead < 0) return "stale";
  if (ahead > 0) return incoming.state;
  return incoming.state === "alive" && known.state === "dead" ? "contradiction" : "stale";
}

function judgeLive(known: PeerRecord, incoming: PeerRecord): Judgement {
  const ahead = incoming.refutation - known.refutation;
  if (ahead < 0) return "stale";
  if (incoming.state === "left") return "left";
  if (ahead > 0) return incoming.state === "alive" ? "alive" : "suspect";
  return known.state === "alive" && incoming.state !== "alive" ? "suspect" : "stale";
}
