/**
 * The Kernel port in memory: namespaces, links and entries behave as `ip` and `bridge` showed,
 * so that the reconciler is tested without root, with faults and without waiting.
 */

import type { Cancel } from "../../mesh/index.ts";
import type { StepFailure } from "../../overlay/failures.ts";
import type { Hint } from "../../overlay/hints.ts";
import type { KernelPort } from "../../overlay/pass.ts";
import {
  BRIDGE,
  emptyObservation,
  floodKey,
  type ObservedForward,
  type ObservedLink,
  type ObservedNetwork,
  type Scope,
  type Step,
  VXLAN,
} from "../../overlay/state.ts";
import { settle } from "./virtual-clock.ts";

export interface FakeNetns {
  filtered: boolean;
  readonly links: Map<string, ObservedLink>;
  readonly neighbours: Map<string, string>;
  readonly forwards: Map<string, ObservedForward>;
  readonly floods: Map<string, ObservedForward>;
  readonly steers: Map<string, string>;
}

const LINK: ObservedLink = {
  name: "",
  kind: "",
  up: false,
  mtuBytes: 1500,
  mac: "02:00:00:00:00:01",
  master: undefined,
  cidrs: [],
  stp: false,
  snoops: undefined,
  portLearning: true,
  portAllGroups: undefined,
  vxlan: undefined,
};

export class FakeKernel implements KernelPort {
  readonly hostNetns = "host";
  readonly namespaces = new Map<string, FakeNetns>();
  /** Names without a namespace behind them. */
  readonly broken = new Set<string>();
  /** Container ends in the host's namespace. */
  readonly hostLinks = new Set<string>();
  /** Every call of apply. */
  readonly applied: (readonly Step[])[] = [];
  observations = 0;
  /** Returns an error text to make a step fail. */
  fault: (step: Step) => string | undefined = () => undefined;
  /** Awaited inside observe, to interleave. */
  pause: () => Promise<void> = settle;
  readonly #receivers = new Set<(hint?: Hint) => void>();

  async observe({ netns }: Scope): Promise<ObservedNetwork> {
    this.observations++;
    const found = this.namespaces.get(netns);
    const seen: ObservedNetwork = found
      ? { netns, state: "present", ...structuredClone(found) }
      : emptyObservation(netns, this.broken.has(netns) ? "broken" : "absent");
    await this.pause();
    return seen;
  }

  async apply(steps: readonly Step[]): Promise<readonly StepFailure[]> {
    this.applied.push(steps);
    await settle();
    return steps.flatMap((step) => {
      const error = this.fault(step) ?? this.#apply(step);
      return error === undefined ? [] : [{ step, error }];
    });
  }

  onDirty(notify: (hint?: Hint) => void): Cancel {
    this.#receivers.add(notify);
    return () => this.#receivers.delete(notify);
  }

  /** What a monitor would say, with its line or as one that ended. */
  hint(hint?: Hint): void {
    for (const receive of this.#receivers) receive(hint);
  }

  get(netns: string): FakeNetns {
    const found = this.namespaces.get(netns);
    if (found === undefined) throw new Error(`no namespace ${netns}`);
    return found;
  }

  #apply(step: Step): string | undefined {
    if (step.kind === "host-link-del") {
      return this.hostLinks.delete(step.device) ? undefined : "Cannot find device";
    }
    const { netns } = step;
    if (step.kind === "netns-add") {
      if (this.namespaces.has(netns) || this.broken.has(netns)) return "File exists";
      this.namespaces.set(netns, freshNetns());
      return undefined;
    }
    const space = this.namespaces.get(netns);
    if (step.kind === "netns-del") {
      const known = this.broken.delete(netns) || this.namespaces.delete(netns);
      return known ? undefined : "No such file or directory";
    }
    if (space === undefined)
      return `Cannot open network namespace "${netns}": No such file or directory`;
    return this.#applyLink(space, step) ?? applyEntry(space, step);
  }

  #applyLink(space: FakeNetns, step: Step): string | undefined {
    switch (step.kind) {
      case "filter-off":
        space.filtered = false;
        return undefined;
      case "loopback-up":
        return change(space, "lo", { up: true });
      case "bridge-add":
        return add(space, BRIDGE, { kind: "bridge", mac: step.mac, mtuBytes: step.mtuBytes });
      case "bridge-set":
        return change(space, BRIDGE, {
          up: true,
          stp: false,
          snoops: true,
          mac: step.mac,
          mtuBytes: step.mtuBytes,
        });
      case "vxlan-add":
        return add(space, VXLAN, { kind: "vxlan", mtuBytes: step.mtuBytes, vxlan: vxlanOf(step) });
      case "port-set":
        if (!space.links.has(BRIDGE)) return "Device does not exist";
        return change(space, step.device, { up: true, master: BRIDGE, mtuBytes: step.mtuBytes });
      case "learning-off":
        return change(space, VXLAN, { portLearning: false, portAllGroups: true });
      case "veth-add":
        return this.#addPair(space, step);
      case "port-move":
        return this.#movePort(space, step);
      case "link-del":
        return this.#deleteLink(space, step.device);
      case "address-add":
      case "address-del":
        return changeAddress(space, step.kind, step.cidr);
      default:
        return undefined;
    }
  }

  #addPair(space: FakeNetns, step: Extract<Step, { kind: "veth-add" }>): string | undefined {
    if (!space.links.has(BRIDGE)) return "Device does not exist";
    if (this.hostLinks.has(step.containerEnd)) return "File exists";
    const shape = { kind: "veth", up: true, master: BRIDGE, mtuBytes: step.mtuBytes };
    const error = add(space, step.overlayEnd, shape);
    if (error === undefined) this.hostLinks.add(step.containerEnd);
    return error;
  }

  #movePort(space: FakeNetns, step: Extract<Step, { kind: "port-move" }>): string | undefined {
    const link = space.links.get(step.device);
    const to = this.namespaces.get(step.to);
    if (link === undefined || to === undefined) return `Cannot find device "${step.device}"`;
    space.links.delete(step.device);
    return add(to, step.device, { ...link, master: undefined, up: false });
  }

  #deleteLink(space: FakeNetns, device: string): string | undefined {
    if (!space.links.delete(device)) return `Cannot find device "${device}"`;
    if (device.startsWith("veth")) this.hostLinks.delete(device.replace("veth", "tswc"));
    if (device !== VXLAN) return undefined;
    space.neighbours.clear();
    space.forwards.clear();
    space.steers.clear();
    space.floods.clear();
    return undefined;
  }
}

function freshNetns(): FakeNetns {
  return {
    filtered: true,
    links: new Map([["lo", { ...LINK, name: "lo" }]]),
    neighbours: new Map(),
    forwards: new Map(),
    floods: new Map(),
    steers: new Map(),
  };
}

function add(space: FakeNetns, name: string, shape: Partial<ObservedLink>): string | undefined {
  if (space.links.has(name)) return "File exists";
  space.links.set(name, { ...LINK, ...shape, name });
  return undefined;
}

function change(space: FakeNetns, name: string, shape: Partial<ObservedLink>): string | undefined {
  const link = space.links.get(name);
  if (link === undefined) return `Cannot find device "${name}"`;
  space.links.set(name, { ...link, ...shape });
  return undefined;
}

function changeAddress(space: FakeNetns, kind: string, cidr: string): string | undefined {
  const cidrs = (space.links.get(BRIDGE)?.cidrs ?? []).filter((other) => other !== cidr);
  return change(space, BRIDGE, { cidrs: kind === "address-add" ? [...cidrs, cidr] : cidrs });
}

function vxlanOf(step: Extract<Step, { kind: "vxlan-add" }>) {
  return {
    vni: step.vni,
    port: step.port,
    learning: false,
    proxy: true,
    l2miss: true,
    l3miss: true,
    foreignSocket: true,
    underlay: step.underlay,
  };
}

function applyEntry(space: FakeNetns, step: Step): string | undefined {
  if (!/^(neigh|forward|copy|steer)-/.test(step.kind)) return undefined;
  if (!space.links.has(VXLAN)) return `Cannot find device "${VXLAN}"`;
  if (step.kind === "neigh-put") space.neighbours.set(step.ip, step.mac);
  if (step.kind === "forward-put") {
    space.forwards.set(step.mac, { mac: step.mac, vtep: step.vtep, plain: true });
  }
  if (step.kind === "copy-put") {
    const { mac, vtep } = step;
    space.floods.set(floodKey(mac, vtep), { mac, vtep, plain: true });
  }
  if (step.kind === "steer-put") space.steers.set(step.mac, step.direct ? "direct" : "static");
  const gone =
    (step.kind === "neigh-del" && !space.neighbours.delete(step.ip)) ||
    (step.kind === "forward-del" && !space.forwards.delete(step.mac)) ||
    (step.kind === "copy-del" && !space.floods.delete(floodKey(step.mac, step.vtep))) ||
    (step.kind === "steer-del" && !space.steers.delete(step.mac));
  return gone ? "RTNETLINK answers: No such file or directory" : undefined;
}
