/**
 * What a full pass put right although nothing had been asked for: entries that this daemon had
 * written, and somebody else changed. Pure.
 *
 * Law: an entry counts only if the mirror held before the observation what is put back now, so
 * that a daemon's first pass and its own changes are never taken for drift.
 */
import type { EntryTables } from "./diff-remote.ts";
import type { Known } from "./mirror.ts";
import { inSlices, type Sliced } from "./slices.ts";
import { entryKey, floodKey, type ObservedNetwork, type Step } from "./state.ts";

/** One repaired entry: `before` and `after` are values, or `absent`. */
export interface Healed {
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

export interface HealedNetwork {
  readonly network: string;
  /** The first of them. */
  readonly entries: readonly Healed[];
  /** How many there are. */
  readonly total: number;
}

/** Entries told one by one; of a namespace that was emptied the number is what matters. */
const TOLD_MAX = 20;
const ABSENT = "absent";

/** What of `steps` undoes somebody else's change; undefined when nothing does. */
export function* healedBy(
  network: string,
  steps: readonly Step[],
  observed: ObservedNetwork,
  known: Known | undefined,
): Sliced<HealedNetwork | undefined> {
  if (known === undefined) return undefined;
  const entries: Healed[] = [];
  let total = 0;
  yield* inSlices(steps, (step) => {
    const found = healedStep(step, observed, known);
    if (found === undefined) return;
    total += 1;
    if (entries.length < TOLD_MAX) entries.push(found);
  });
  return total === 0 ? undefined : { network, entries, total };
}

function healedStep(step: Step, observed: ObservedNetwork, known: Known): Healed | undefined {
  const change = healedEntry(step, observed, known.tables);
  if (change === undefined) return healedDevice(step, observed);
  const what = entryKey(step) ?? step.kind;
  return known.written.has(what) ? undefined : { what, ...change };
}

function healedEntry(
  step: Step,
  observed: ObservedNetwork,
  known: EntryTables,
): Omit<Healed, "what"> | undefined {
  switch (step.kind) {
    case "neigh-put": {
      if (known.neighbours.get(step.ip) !== step.mac) return undefined;
      return { before: observed.neighbours.get(step.ip) ?? ABSENT, after: step.mac };
    }
    case "neigh-del": {
      if (known.neighbours.has(step.ip)) return undefined;
      return { before: observed.neighbours.get(step.ip) ?? ABSENT, after: ABSENT };
    }
    case "forward-put": {
      if (known.forwards.get(step.mac)?.vtep !== step.vtep) return undefined;
      return { before: forwardText(observed, step.mac), after: step.vtep };
    }
    case "forward-del":
      if (known.forwards.has(step.mac)) return undefined;
      return { before: step.vtep, after: ABSENT };
    case "copy-put": {
      const key = floodKey(step.mac, step.vtep);
      if (!known.floods.has(key)) return undefined;
      return { before: observed.floods.has(key) ? "not permanent" : ABSENT, after: "present" };
    }
    case "copy-del":
      if (known.floods.has(floodKey(step.mac, step.vtep))) return undefined;
      return { before: "present", after: ABSENT };
    case "steer-put": {
      const after = step.direct === true ? "direct" : "static";
      if (known.steers.get(step.mac) !== after) return undefined;
      return { before: observed.steers.get(step.mac) ?? ABSENT, after };
    }
    case "steer-del":
      if (known.steers.has(step.mac)) return undefined;
      return { before: observed.steers.get(step.mac) ?? ABSENT, after: ABSENT };
    default:
      return undefined;
  }
}

function healedDevice(step: Step, observed: ObservedNetwork): Healed | undefined {
  switch (step.kind) {
    case "netns-add":
      return { what: `namespace ${step.netns}`, before: observed.state, after: "present" };
    case "bridge-add":
    case "vxlan-add": {
      const what = step.kind === "bridge-add" ? "br0" : "vxlan0";
      const before = observed.links.has(what) ? "of another shape" : ABSENT;
      return { what, before, after: "present" };
    }
    case "bridge-set":
      return { what: "br0", before: "changed", after: `up, MTU ${step.mtuBytes}` };
    case "port-set": {
      const after = `up on br0, MTU ${step.mtuBytes}`;
      return { what: step.device, before: "changed", after };
    }
    case "address-add":
      return { what: "address of br0", before: ABSENT, after: step.cidr };
    case "address-del":
      return { what: "address of br0", before: step.cidr, after: ABSENT };
    case "link-del":
      return { what: step.device, before: "present", after: ABSENT };
    default:
      return undefined;
  }
}

function forwardText(observed: ObservedNetwork, mac: string): string {
  const present = observed.forwards.get(mac);
  if (present === undefined) return ABSENT;
  return present.plain ? present.vtep : `${present.vtep}, not permanent`;
}
