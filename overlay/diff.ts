/**
 * Desired and observed state → the ordered steps between them. Pure.
 *
 * Laws: `replace`, never blind `add`, for whatever may already be there; nothing that works is
 * touched; an entry that is not desired goes only when the caller has proof that it is stale
 * (never remove on doubt), except a local address in vxlan0's tables, which is wrong in itself.
 */
import { type Keep, remoteInSlices } from "./diff-remote.ts";
import { copySteps } from "./groups/copies.ts";
import { type Sliced, whole } from "./slices.ts";
import {
  BRIDGE,
  type DesiredNetwork,
  emptyObservation,
  type ObservedLink,
  type ObservedNetwork,
  type Step,
  VXLAN,
} from "./state.ts";

/** `diffInSlices` in one go. */
export function diff(desired: DesiredNetwork, observed: ObservedNetwork, keep: Keep): Step[] {
  return whole(diffInSlices(desired, observed, keep));
}

/** Steps for one network: namespace, devices, ports, then remote entries. */
export function* diffInSlices(
  desired: DesiredNetwork,
  observed: ObservedNetwork,
  keep: Keep,
): Sliced<Step[]> {
  const steps = deviceSteps(desired, observed, keep);
  const rebuilt = steps.some((step) => step.kind === "vxlan-add");
  const base = rebuilt ? emptyObservation(observed.netns) : observed;
  const remote = yield* remoteInSlices(desired, base, keep);
  return steps.concat(remote, copySteps(desired, base.floods, keep));
}

/** All but the entries: namespace, devices, ports that are there and ports that should not be. */
export function deviceSteps(
  desired: DesiredNetwork,
  observed: ObservedNetwork,
  keep: Keep,
): Step[] {
  return diffSkeleton(desired, observed).concat(strayPorts(desired, observed, keep));
}

/** Steps that bring up the namespace, br0, vxlan0 and the ports that exist, without entries. */
export function diffSkeleton(desired: DesiredNetwork, observed: ObservedNetwork): Step[] {
  const { netns } = desired;
  const steps: Step[] = [];
  if (observed.state === "broken") steps.push({ kind: "netns-del", netns });
  if (observed.state !== "present") steps.push({ kind: "netns-add", netns });
  if (observed.filtered) steps.push({ kind: "filter-off", netns });
  if (observed.links.get("lo")?.up !== true) steps.push({ kind: "loopback-up", netns });
  const bridge = bridgeSteps(desired, observed.links.get(BRIDGE));
  const freshBridge = bridge.some((step) => step.kind === "bridge-add");
  steps.push(...bridge, ...vxlanSteps(desired, observed.links.get(VXLAN), freshBridge));
  for (const device of desired.ports.keys()) {
    const link = observed.links.get(device);
    if (link === undefined || link.kind !== "veth") continue;
    if (!freshBridge && portRight(link, desired.mtuBytes)) continue;
    steps.push({ kind: "port-set", netns, device, mtuBytes: desired.mtuBytes });
  }
  return steps;
}

/** Local endpoints whose overlay end is not there: not joined yet, or lost with a namespace. */
export function unplugged(desired: DesiredNetwork, observed: ObservedNetwork): string[] {
  const missing = [...desired.ports].filter(([device]) => !observed.links.has(device));
  return missing.map(([, endpoint]) => endpoint.id);
}

function bridgeSteps(desired: DesiredNetwork, link: ObservedLink | undefined): Step[] {
  const { netns, mtuBytes } = desired;
  const steps: Step[] = [];
  const shape = { netns, mac: desired.bridgeMac, mtuBytes };
  const fresh = link === undefined || link.kind !== "bridge";
  if (link !== undefined && fresh) steps.push({ kind: "link-del", netns, device: BRIDGE });
  if (fresh) steps.push({ kind: "bridge-add", ...shape });
  const right = !fresh && link.up && !link.stp && link.snoops !== false && link.mac === shape.mac;
  if (!right || link.mtuBytes !== mtuBytes) steps.push({ kind: "bridge-set", ...shape });
  const cidrs = fresh ? [] : link.cidrs;
  for (const cidr of cidrs) {
    if (cidr !== desired.gatewayCidr) steps.push({ kind: "address-del", netns, cidr });
  }
  if (!cidrs.includes(desired.gatewayCidr)) {
    steps.push({ kind: "address-add", netns, cidr: desired.gatewayCidr });
  }
  return steps;
}

function vxlanSteps(
  desired: DesiredNetwork,
  link: ObservedLink | undefined,
  freshBridge: boolean,
): Step[] {
  const { netns, mtuBytes } = desired;
  const steps: Step[] = [];
  const fresh = link === undefined || !vxlanRight(desired, link);
  if (fresh) {
    if (link !== undefined) steps.push({ kind: "link-del", netns, device: VXLAN });
    const { vni, vxlanPort: port, underlay } = desired;
    steps.push({ kind: "vxlan-add", netns, vni, port, mtuBytes, underlay });
  }
  if (fresh || freshBridge || !portRight(link, mtuBytes)) {
    steps.push({ kind: "port-set", netns, device: VXLAN, mtuBytes });
  }
  const wrong = link?.portLearning === true || link?.portAllGroups === false;
  if (fresh || freshBridge || link.master !== BRIDGE || wrong) {
    steps.push({ kind: "learning-off", netns });
  }
  return steps;
}

/** Flags of a vxlan device cannot be changed in place ("cannot change PROXY flag"). */
function vxlanRight(desired: DesiredNetwork, link: ObservedLink): boolean {
  const shape = link.vxlan;
  if (shape === undefined || shape.vni !== desired.vni || shape.port !== desired.vxlanPort) {
    return false;
  }
  if (shape.underlay !== desired.underlay) return false;
  return shape.proxy && shape.l2miss && shape.l3miss && !shape.learning && shape.foreignSocket;
}

function portRight(link: ObservedLink, mtuBytes: number): boolean {
  return link.up && link.master === BRIDGE && link.mtuBytes === mtuBytes;
}

/** Overlay ends of endpoints that nobody knows any more. */
function strayPorts(desired: DesiredNetwork, observed: ObservedNetwork, keep: Keep): Step[] {
  const steps: Step[] = [];
  for (const [device, link] of observed.links) {
    const prefix = /^veth([0-9a-f]{7})$/.exec(device)?.[1];
    if (prefix === undefined || link.kind !== "veth" || desired.ports.has(device)) continue;
    if (!keep.mayRemoveEndpoint(prefix)) continue;
    steps.push({ kind: "link-del", netns: desired.netns, device });
  }
  return steps;
}
