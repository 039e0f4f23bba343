/**
 * What this daemon last saw and wrote in vxlan0's tables, so that one changed row reaches the
 * kernel without reading thousands of others first.
 *
 * Law: the mirror only makes the fast path fast. A full pass reloads it from the kernel, so an
 * error in it lives until the next pass and no longer.
 */
import type { EntryTables } from "./diff-remote.ts";
import {
  entryKey,
  floodKey,
  type ObservedForward,
  type ObservedNetwork,
  type Step,
} from "./state.ts";

interface Tables {
  readonly neighbours: Map<string, string>;
  readonly forwards: Map<string, ObservedForward>;
  readonly floods: Map<string, ObservedForward>;
  readonly steers: Map<string, string>;
  /** Destinations of the forwards; one too many is corrected by the next load. */
  readonly vteps: Set<string>;
  /** See Known. */
  written: Map<string, Step> | undefined;
}

/** What was known before the kernel was looked at. */
export interface Known {
  readonly tables: EntryTables;
  /**
   * What was written while looking, by `entryKey`, of which `tables` tell nothing.
   * BOUNDED: entries of the tables.
   */
  readonly written: ReadonlyMap<string, Step>;
}

export class Mirror {
  /** BOUNDED: LIMITS.networksMax namespaces, each with one entry per endpoint of the mesh. */
  readonly #byNetns = new Map<string, Tables>();
  /** MTU that the last pass wanted. BOUNDED: as above. */
  readonly #mtus = new Map<string, number>();

  /**
   * Takes over an observation; one without vxlan0 counts as not ready. Its tables are not copied,
   * there may be fifty thousand entries in each: from now on steps that are noted change them.
   * What was written since `known` is noted again, since the look may have missed it.
   */
  load(observed: ObservedNetwork): void {
    if (observed.state !== "present") {
      this.#byNetns.delete(observed.netns);
      return;
    }
    const written = this.#byNetns.get(observed.netns)?.written;
    const { neighbours, forwards, floods, steers } = observed;
    const vteps = new Set<string>();
    for (const { vtep } of forwards.values()) vteps.add(vtep);
    const tables = { neighbours, forwards, floods, steers, vteps, written: undefined };
    this.#byNetns.set(observed.netns, tables);
    for (const step of written?.values() ?? []) this.#note(step);
  }

  /**
   * What is known of a namespace now, to be compared with a look at the kernel that begins after
   * this call and ends in `load`. Undefined where nothing is known.
   */
  known(netns: string): Known | undefined {
    const tables = this.#byNetns.get(netns);
    if (tables === undefined) return undefined;
    const written = new Map<string, Step>();
    tables.written = written;
    return { tables, written };
  }

  /** The tables of a namespace that exists, as far as is known. */
  tables(netns: string): EntryTables | undefined {
    return this.#byNetns.get(netns);
  }

  /** The VTEPs that a namespace's forwards lead to; a former one may be among them. */
  vteps(netns: string): ReadonlySet<string> {
    return this.#byNetns.get(netns)?.vteps ?? new Set();
  }

  /** Whether this pass wants another MTU than the last one, which is then no drift. */
  isNewMtu(netns: string, mtuBytes: number): boolean {
    const before = this.#mtus.get(netns);
    this.#mtus.set(netns, mtuBytes);
    return before !== undefined && before !== mtuBytes;
  }

  /** Forgets a namespace whose state is no longer known. */
  drop(netns: string): void {
    this.#byNetns.delete(netns);
    this.#mtus.delete(netns);
  }

  /** Records steps that were applied. */
  note(steps: readonly Step[]): void {
    for (const step of steps) this.#note(step);
  }

  #note(step: Step): void {
    if (step.kind === "host-link-del") return;
    if (step.kind === "netns-del") this.#byNetns.delete(step.netns);
    if (step.kind === "vxlan-add") this.#byNetns.set(step.netns, emptyTables());
    const tables = this.#byNetns.get(step.netns);
    if (tables === undefined) return;
    const key = tables.written && entryKey(step);
    if (key !== undefined) tables.written?.set(key, step);
    if (step.kind === "neigh-put") tables.neighbours.set(step.ip, step.mac);
    if (step.kind === "neigh-del") tables.neighbours.delete(step.ip);
    if (step.kind === "forward-put") {
      tables.forwards.set(step.mac, { mac: step.mac, vtep: step.vtep, plain: true });
      tables.vteps.add(step.vtep);
    }
    if (step.kind === "copy-put") {
      const { mac, vtep } = step;
      tables.floods.set(floodKey(mac, vtep), { mac, vtep, plain: true });
    }
    if (step.kind === "copy-del") tables.floods.delete(floodKey(step.mac, step.vtep));
    if (step.kind === "forward-del") tables.forwards.delete(step.mac);
    if (step.kind === "steer-put") tables.steers.set(step.mac, step.direct ? "direct" : "static");
    if (step.kind === "steer-del") tables.steers.delete(step.mac);
  }
}

function emptyTables(): Tables {
  return {
    neighbours: new Map(),
    forwards: new Map(),
    floods: new Map(),
    steers: new Map(),
    vteps: new Set(),
    written: undefined,
  };
}
