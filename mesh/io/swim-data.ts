/**
 * The package's member data and our records, one into the other. The package's `host` is an opaque
 * key to it, so it is the peer id here: an address change is an update, never a second member.
 */
import type { MemberData } from "swim/lib/member.js";
import { TsweaveError } from "../errors.ts";
import type { PeerMeta } from "../membership/membership.ts";
import type { PeerRecord } from "../membership/record.ts";

/** swim's numbers for member states. */
export const SWIM_STATE = { alive: 0, suspect: 1, faulty: 2 } as const;

/** Travels as the package's `meta`; `left` tells a leave from a failure among the faulty. */
interface SwimMeta extends PeerMeta {
  readonly era: number;
  readonly boot: number;
  readonly left: boolean;
}

export function swimData({ meta, era, boot, state, refutation }: PeerRecord): MemberData {
  const swimMeta: SwimMeta = { ...meta, era, boot, left: state === "left" };
  const isGone = state === "dead" || state === "left";
  return {
    host: meta.id,
    state: isGone ? SWIM_STATE.faulty : SWIM_STATE[state],
    incarnation: refutation,
    meta: swimMeta,
  };
}

/** The record of data that came out of the package; only what went in as a record is there. */
export function recordOf(data: MemberData): PeerRecord {
  const { era, boot, left, ...meta } = data.meta as SwimMeta;
  return {
    meta,
    era,
    boot,
    state: stateOf(data.state, left),
    refutation: data.incarnation,
  };
}

function stateOf(state: number, left: boolean): PeerRecord["state"] {
  if (state === SWIM_STATE.alive) return "alive";
  if (state === SWIM_STATE.suspect) return "suspect";
  if (state === SWIM_STATE.faulty) return left ? "left" : "dead";
  throw new TsweaveError("INTERNAL", `swim reports state ${state}`);
}
