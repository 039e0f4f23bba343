/**
 * Putting one endpoint into a network and taking it out: the part of the kernel's work that a
 * `docker run` waits for.
 *
 * Laws: the usual Join costs one batch; both ways are idempotent, whatever an earlier attempt
 * or a crash left behind; local wins, so remote entries of the same addresses go first.
 */
import { TsweaveError } from "../mesh/index.ts";
import { canonicalIp, isMac } from "./address.ts";
import { applyNoted } from "./apply.ts";
import { desiredNetwork } from "./desired.ts";
import { diffSkeleton } from "./diff.ts";
import { realFailures, type StepFailure } from "./failures.ts";
import { containerEnd, type LocalEndpoint, type Network, netnsName, overlayEnd } from "./model.ts";
import type { PassContext } from "./pass.ts";
import { BRIDGE, emptyObservation, type Step, VXLAN } from "./state.ts";
import { evictionSteps } from "./touched.ts";

/**
 * Creates the endpoint's veth pair, and first the network's namespace when it is not there.
 * Resolves with true when the fast path did, false when the network had to be looked at: then a
 * full pass should follow. Throws `COMMAND_FAILED` with what the kernel said.
 */
export async function plugEndpoint(
  context: PassContext,
  endpoint: LocalEndpoint,
  network: Network,
): Promise<boolean> {
  const netns = netnsName(network);
  if (!isMac(endpoint.mac)) {
    throw new TsweaveError("BAD_REQUEST", `${endpoint.mac} is not a unicast MAC address`);
  }
  const others = context.meanwhile.of(netns);
  others?.device(overlayEnd(endpoint.id));
  const { ip, mac } = endpoint;
  others?.entries({ ips: new Set([canonicalIp(ip)]), macs: new Set([mac]) });
  const veth = vethStep(netns, endpoint, network);
  const tables = context.mirror.tables(netns);
  const evict = evictionSteps(netns, endpoint, tables);
  if (tables !== undefined) {
    const failures = await applyNoted(context, [...evict, veth]);
    if (!failures.some(({ step }) => step.kind === "veth-add")) return true;
  }
  await plugThoroughly(context, endpoint, network, [...evict, veth]);
  return false;
}

/** Builds or repairs the namespace, removes remains of an earlier attempt, then plugs. */
async function plugThoroughly(
  context: PassContext,
  endpoint: LocalEndpoint,
  network: Network,
  last: readonly Step[],
): Promise<void> {
  const { kernel, mirror, source } = context;
  const netns = netnsName(network);
  context.meanwhile.of(netns)?.remade();
  const observed = await kernel.observe({ netns });
  mirror.load(observed);
  const wanted = desiredNetwork(network, [], [], source().options);
  const steps: Step[] = diffSkeleton(wanted, observed);
  const device = overlayEnd(endpoint.id);
  if (observed.links.has(device)) steps.push({ kind: "link-del", netns, device });
  steps.push({ kind: "host-link-del", device: containerEnd(endpoint.id) });
  const failures = await applyNoted(context, [...steps, ...last]);
  // What else failed the full pass that follows tries again and tells; here there is a network.
  const failed = failures.find(({ step }) => step.kind === "veth-add");
  if (failed === undefined) return;
  throw new TsweaveError(
    "COMMAND_FAILED",
    `endpoint ${endpoint.id.slice(0, 12)}: ${failed.step.kind} in ${netns}: ${failed.error}`,
    { hint: "see the log, then start the container again" },
  );
}

/** Deletes an endpoint's veth pair, wherever its ends are. What is already gone is fine. */
export async function unplugEndpoint(
  context: PassContext,
  endpointId: string,
  network: Pick<Network, "id">,
): Promise<void> {
  const netns = netnsName(network);
  const device = overlayEnd(endpointId);
  context.meanwhile.of(netns)?.device(device);
  const step: Step = { kind: "link-del", netns, device };
  const failures = await context.kernel.apply([step]);
  if (failures.length === 0) return;
  throwFirst(netns, realFailures(failures));
  // The overlay end is not there; a container end that libnetwork moved back may be.
  const host: Step = { kind: "host-link-del", device: containerEnd(endpointId) };
  throwFirst("host", await applyNoted(context, [host]));
}

/** Removes a network's namespace with all its devices; what is already gone is fine. */
export async function removeNamespace(
  context: PassContext,
  network: Pick<Network, "id">,
): Promise<void> {
  const netns = netnsName(network);
  let observed = emptyObservation(netns, "broken");
  try {
    observed = await context.kernel.observe({ netns });
  } catch (error) {
    context.log.warn({ netns, error }, "cannot read a namespace that is to be removed");
  }
  context.meanwhile.of(netns)?.remade();
  context.mirror.drop(netns);
  if (observed.state === "absent") return;
  // Devices first: a process that still pins the namespace must not keep the network alive.
  const ours = [...observed.links.keys()].filter(
    (device) => device === VXLAN || device === BRIDGE || /^veth[0-9a-f]{7}$/.test(device),
  );
  const steps = ours.map((device): Step => ({ kind: "link-del", netns, device }));
  throwFirst(netns, await applyNoted(context, [...steps, { kind: "netns-del", netns }]));
}

function throwFirst(where: string, failures: readonly StepFailure[]): void {
  const [failed] = failures;
  if (failed === undefined) return;
  throw new TsweaveError("COMMAND_FAILED", `${where}: ${failed.step.kind}: ${failed.error}`);
}

function vethStep(netns: string, endpoint: LocalEndpoint, network: Network): Step {
  return {
    kind: "veth-add",
    netns,
    overlayEnd: overlayEnd(endpoint.id),
    containerEnd: containerEnd(endpoint.id),
    mac: endpoint.mac,
    mtuBytes: network.mtuBytes,
  };
}
