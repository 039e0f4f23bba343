/**
 * Facts → steps → the one cause. Pure.
 *
 * Law: what is measured beats what is written: with an answer from B nothing is the cause, and
 * what is wrong besides is only noted. Without one the cause is the failed step that explains the
 * others, not the first in the list: a daemon that died stops no traffic, a device that is down
 * does.
 */
import type { Facts } from "./facts.ts";
import { endStep, entriesStep, peerStep, tunnelStep, underlayStep } from "./far-steps.ts";
import {
  addressStep,
  nameStep,
  overlayStep,
  plugStep,
  rangeStep,
  sourceStep,
} from "./near-steps.ts";
import { probeStep } from "./probe-step.ts";
import type { CauseCode, Step, StepName } from "./step.ts";

export interface Cause {
  readonly code: CauseCode;
  readonly text: string;
  readonly next: string | null;
}

export interface Explanation {
  readonly steps: readonly Step[];
  readonly reachable: boolean;
  /** False when A or B does not exist. */
  readonly found: boolean;
  /** Null when B was reached. */
  readonly cause: Cause | null;
  /** What is wrong besides, though it does not explain the cause. */
  readonly notes: readonly CauseCode[];
}

/** Whose failure explains whose: the earlier one the later one. */
const ORDER: readonly StepName[] = [
  ...(["source", "name", "address", "overlay", "plug", "range", "entries"] as const),
  ...(["tunnel", "underlay", "end", "peer", "probe"] as const),
];

const NOT_FOUND: readonly CauseCode[] = [
  "SOURCE_UNKNOWN",
  "SOURCE_ELSEWHERE",
  "NAME_UNKNOWN",
  "NO_ENDPOINT",
];

/** Judges what was found out. `network`: the one that was asked for. */
export function explain(facts: Facts, network?: string): Explanation {
  const made = [
    ...[sourceStep(facts, network), nameStep(facts), addressStep(facts), rangeStep(facts)],
    ...[peerStep(facts), overlayStep(facts), plugStep(facts), entriesStep(facts)],
    ...[underlayStep(facts), tunnelStep(facts), endStep(facts), probeStep(facts)],
  ];
  const steps = made.filter((step) => step !== undefined);
  const failed = steps.filter(({ state }) => state === "failed");
  const blocking = causeOf(steps, failed, facts.peer !== null);
  // That nothing comes back is the symptom, not something besides.
  const besides = failed.filter((step) => step !== blocking && step.step !== "probe");
  const notes = besides.flatMap(({ code }) => code ?? []);
  if (blocking === undefined) {
    return { steps, reachable: true, found: true, cause: null, notes };
  }
  const { code, text, next } = blocking;
  const cause = { code: code ?? "NO_ANSWER", text, next };
  return { steps, reachable: false, found: !NOT_FOUND.includes(cause.code), cause, notes };
}

function causeOf(
  steps: readonly Step[],
  failed: readonly Step[],
  isRemote: boolean,
): Step | undefined {
  const probe = steps.find(({ step }) => step === "probe");
  if (probe?.state === "ok") return failed.find(({ step }) => step === "name");
  const ordered = ORDER.flatMap((name) => failed.find(({ step }) => step === name) ?? []);
  const codes = new Set(failed.map(({ code }) => code));
  const concerned = ordered.filter(({ code }) => isRemote || !ofTunnel(code));
  return concerned.find(({ step, code }) => explains(step, code, codes)) ?? ordered[0];
}

/** Within a host nothing goes through the tunnel. */
function ofTunnel(code: CauseCode | null): boolean {
  return code === "VXLAN_DOWN" || code === "VNI_DIFFERS" || code === "VXLAN_PORT_DIFFERS";
}

/** Whether a failure can be why nothing comes back, next to these others. */
function explains(
  step: StepName,
  code: CauseCode | null,
  codes: ReadonlySet<CauseCode | null>,
): boolean {
  const isGone = codes.has("PEER_DEAD") || codes.has("PEER_LEFT");
  // Entries of a host that is proved gone are taken away: that is right.
  if (step === "entries") return !(isGone && code?.endsWith("_MISSING") === true);
  // Of two with one address one is in the kernel: only the other one is cut off by that.
  if (code === "ADDRESS_TWICE") return codes.has("NEIGHBOUR_WRONG") || codes.has("FORWARD_WRONG");
  if (code === "UNDERLAY_NARROW") return codes.has("PACKETS_CUT");
  return code !== "PACKETS_CUT" || !codes.has("UNDERLAY_NARROW");
}
