/**
 * What a full pass put right although nothing had been asked for: entries that this daemon had
 * written, and somebody else changed. Pure.
 *
 * Law: an entry counts only if the mirror held before the observation what is put back now, so
 * that a daemon's first pass and its own changes are never taken for drift.
 */
import type { EntryTables } from "./diff-remote.ts";
import { floodKey, type ObservedNetwork, type Step } from "./state.ts";

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

/** The tables as they were before looking, apart from those that change meanwhile. */
export function remembered(tables: EntryTables | undefined): EntryTables | undefined {
  if (tables === undefined) return undefined;
  const { neighbours, forwards, floods, steers } = tables;
  return {
    neighbours: new Map(neighbours),
    forwards: new Map(forwards),
    floods: new Map(floods),
    steers: new Map(steers),
  };
}

/** What of `steps` undoes somebody else's change; undefined when nothing does. */
export function healedBy(
  network: string,
  steps: readonly Step[],
  observed: ObservedNetwork,
  known: EntryTables | undefined,
): HealedNetwork | undefined {
  if (known === undefined) return undefined;
  const found = steps.flatMap((step) => healedStep(step, observed, known) ?? []);
  if (found.length === 0) return undefined;
  return { network, entries: found.slice(0, TOLD_MAX), total: found.length };
}

function healedStep(step: Step, observed: ObservedNetwork, known: EntryTables): Healed | undefined {
  switch (step.kind) {
    case "neigh-put": {
      const before = observed.neighbours.get(step.ip) ?? ABSENT;
      const was = known.neighbours.get(step.ip) === step.mac;
      return was ? { what: `neighbour ${step.ip}`, before, after: step.mac } : undefined;
    }
    case "neigh-del": {
      if (known.neighbours.has(step.ip)) return undefined;
      const before = observed.neighbours.get(step.ip) ?? ABSENT;
      return { what: `neighbour ${step.ip}`, before, after: ABSENT };
    }
    case "forward-put": {
      if (known.forwards.get(step.mac)?.vtep !== step.vtep) return undefined;
      const before = forwardText(observed, step.mac);
      return { what: `forward ${step.mac}`, before, after: step.vtep };
    }
    case "forward-del":
      if (known.forwards.has(step.mac)) return undefined;
      return { what: `forward ${step.mac}`, before: step.vtep, after: ABSENT };
    case "copy-put": {
      const key = floodKey(step.mac, step.vtep);
      if (!known.floods.has(key)) return undefined;
      const before = observed.floods.has(key) ? "not permanent" : ABSENT;
      return { what: `copy ${key}`, before, after: "present" };
    }
    case "copy-del": {
      const key = floodKey(step.mac, step.vtep);
      if (known.floods.has(key)) return undefined;
      return { what: `copy ${key}`, before: "present", after: ABSENT };
    }
    case "steer-put": {
      const after = step.direct === true ? "direct" : "static";
      if (known.steers.get(step.mac) !== after) return undefined;
      const before = observed.steers.get(step.mac) ?? ABSENT;
      return { what: `steer ${step.mac}`, before, after };
    }
    case "steer-del": {
      if (known.steers.has(step.mac)) return undefined;
      const before = observed.steers.get(step.mac) ?? ABSENT;
      return { what: `steer ${step.mac}`, before, after: ABSENT };
    }
    default:
      return healedDevice(step, observed);
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
