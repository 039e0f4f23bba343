/**
 * What this daemon last saw and wrote in vxlan0's tables, so that one changed row reaches the
 * kernel without reading thousands of others first.
 *
 * Law: the mirror only makes the fast path fast. A full pass reloads it from the kernel, so an
 * error in it lives until the next pass and no longer.
 */
import type { EntryTables } from "./diff-remote.ts";
import type { ObservedForward, ObservedNetwork, Step } from "./state.ts";

interface Tables {
  readonly neighbours: Map<string, string>;
  readonly forwards: Map<string, ObservedForward>;
  readonly floods: readonly ObservedForward[];
  readonly steers: Map<string, string>;
}

export class Mirror {
  /** BOUNDED: LIMITS.networksMax namespaces, each with one entry per endpoint of the mesh. */
  readonly #byNetns = new Map<string, Tables>();

  /** Takes over an observation; one without vxlan0 counts as not ready. */
  load(observed: ObservedNetwork): void {
    if (observed.state !== "present") {
      this.#byNetns.delete(observed.netns);
      return;
    }
    this.#byNetns.set(observed.netns, {
      neighbours: new Map(observed.neighbours),
      forwards: new Map(observed.forwards),
      floods: observed.floods,
      steers: new Map(observed.steers),
    });
  }

  /** The tables of a namespace that exists, as far as is known. */
  tables(netns: string): EntryTables | undefined {
    return this.#byNetns.get(netns);
  }

  /** Forgets a namespace whose state is no longer known. */
  drop(netns: string): void {
    this.#byNetns.delete(netns);
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
    if (step.kind === "neigh-put") tables.neighbours.set(step.ip, step.mac);
    if (step.kind === "neigh-del") tables.neighbours.delete(step.ip);
    if (step.kind === "forward-put") {
      tables.forwards.set(step.mac, { mac: step.mac, vtep: step.vtep, plain: true });
    }
    if (step.kind === "forward-del") tables.forwards.delete(step.mac);
    if (step.kind === "steer-put") tables.steers.set(step.mac, "static");
    if (step.kind === "steer-del") tables.steers.delete(step.mac);
  }
}

function emptyTables(): Tables {
  return { neighbours: new Map(), forwards: new Map(), floods: [], steers: new Map() };
}
