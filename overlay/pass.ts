/**
 * One full pass over all networks: observe, diff, apply, observe again.
 *
 * Laws: the first observation happens outside the queue and the tables are read after it,
 * inside, so a Join that came in between is seen and never undone; what still differs after
 * applying is drift and is reported, not assumed away; one broken network does not stop the
 * others.
 */
import { type Kernel, type Log, messageOf } from "../mesh/index.ts";
import { type DesiredOptions, desiredInSlices } from "./desired.ts";
import { diffInSlices, unplugged } from "./diff.ts";
import type { Keep } from "./diff-remote.ts";
import { failureText, isGone, realFailures, type StepFailure } from "./failures.ts";
import type { RemoteGroups } from "./groups/copies.ts";
import { type HealedNetwork, healedBy } from "./healed.ts";
import type { Mirror } from "./mirror.ts";
import { type LocalEndpoint, type Network, netnsName, type RemoteEndpoint } from "./model.ts";
import { stillRight } from "./recheck.ts";
import type { SerialQueue } from "./serial.ts";
import type { Slices } from "./slices.ts";
import type { DesiredNetwork, ObservedNetwork, Scope, Step } from "./state.ts";

/** Everything a pass decides from, read at one moment. */
export interface ReconcileInput {
  readonly networks: readonly Network[];
  readonly locals: readonly LocalEndpoint[];
  readonly remotes: readonly RemoteEndpoint[];
  /**
   * Those of `remotes` with one of these IPs or MACs, in canonical form, and perhaps others;
   * absent: all are looked through.
   */
  readonly near?: (addresses: Iterable<string>) => readonly RemoteEndpoint[];
  /** Groups that other hosts have members of; absent: none. */
  readonly groups?: readonly RemoteGroups[];
  readonly options: DesiredOptions;
  readonly keep: Keep;
}

/** The Kernel port with the name by which batches refer to the host's namespace. */
export interface KernelPort extends Kernel<Scope, ObservedNetwork, Step> {
  readonly hostNetns: string;
}

export interface PassContext {
  readonly kernel: KernelPort;
  readonly log: Log;
  readonly queue: SerialQueue;
  readonly slices: Slices;
  readonly mirror: Mirror;
  readonly source: () => ReconcileInput;
  /** Told what a full pass put right that somebody else had changed. */
  readonly healed?: ((network: HealedNetwork) => void) | undefined;
}

export interface PassResult {
  readonly steps: readonly Step[];
  /** Steps that would still be needed after applying. */
  readonly drift: number;
  readonly errors: readonly string[];
  /** Ids of local endpoints without a veth pair. */
  readonly unplugged: readonly string[];
}

interface NetworkResult {
  readonly steps: readonly Step[];
  readonly drift: number;
  readonly error: string | undefined;
  readonly unplugged: readonly string[];
}

/** Making the text of so many takes about 10 ms, in which this process answers nobody. */
const STEPS_AT_ONCE = 3000;
/** Namespaces observed at once: each takes three processes. */
const PARALLEL = 4;

/** Runs a full pass. Never rejects: errors are in the result. */
export async function fullPass(context: PassContext): Promise<PassResult> {
  const { networks } = context.source();
  const results: NetworkResult[] = [];
  for (let start = 0; start < networks.length; start += PARALLEL) {
    const slice = networks.slice(start, start + PARALLEL);
    results.push(...(await Promise.all(slice.map((network) => passOne(context, network)))));
  }
  return {
    steps: results.flatMap((result) => result.steps),
    drift: results.reduce((sum, result) => sum + result.drift, 0),
    errors: results.flatMap(({ error }) => (error === undefined ? [] : [error])),
    unplugged: results.flatMap((result) => result.unplugged),
  };
}

/** The steps a pass would apply now. Changes nothing. Throws what observing throws. */
export async function planPass(context: PassContext): Promise<Step[]> {
  const steps: Step[][] = [];
  for (const network of context.source().networks) {
    const observed = await context.kernel.observe({ netns: netnsName(network) });
    const wanted = await lookup(context, network);
    if (wanted === undefined) continue;
    steps.push(await context.slices.run(diffInSlices(wanted.desired, observed, wanted.keep)));
  }
  return steps.flat();
}

async function passOne(context: PassContext, network: Network): Promise<NetworkResult> {
  try {
    return await reconcileNetwork(context, network);
  } catch (error) {
    const text = `network ${network.name}: ${messageOf(error)}`;
    context.log.warn({ network: network.name, error: messageOf(error) }, "reconcile failed");
    context.mirror.drop(netnsName(network));
    return { steps: [], drift: 1, error: text, unplugged: [] };
  }
}

async function reconcileNetwork(context: PassContext, network: Network): Promise<NetworkResult> {
  const { kernel, queue, mirror, slices, source } = context;
  const scope = { netns: netnsName(network) };
  const known = mirror.known(scope.netns);
  const observed = await kernel.observe(scope);
  return await queue.run(async () => {
    const wanted = await lookup(context, network);
    if (wanted === undefined) return { steps: [], drift: 0, error: undefined, unplugged: [] };
    const { desired, keep } = wanted;
    mirror.load(observed);
    const isNewMtu = mirror.isNewMtu(scope.netns, desired.mtuBytes);
    const steps = await slices.run(diffInSlices(desired, observed, keep));
    if (steps.length === 0) {
      return { steps, drift: 0, error: undefined, unplugged: unplugged(desired, observed) };
    }
    const drifted = isNewMtu
      ? steps.filter(({ kind }) => !/^(bridge|port)-set$/.test(kind))
      : steps;
    const healed = await slices.run(healedBy(network.name, drifted, observed, known));
    if (healed !== undefined) context.healed?.(healed);
    const still = (part: readonly Step[]) =>
      stillRight(part, network, source(), mirror.tables(scope.netns));
    const [failed] = await applyNoted(context, steps, still);
    const error = failed && `network ${network.name}: ${failureText(failed)}`;
    // Verified inside the queue: nothing else of ours can have changed the kernel in between.
    const after = await kernel.observe(scope);
    mirror.load(after);
    const drift = still(await slices.run(diffInSlices(desired, after, keep))).length;
    return { steps, drift, error, unplugged: unplugged(desired, after) };
  });
}

/**
 * Applies steps and keeps the mirror right; `still` leaves out of a part what is not right any more
 * when its turn comes. Resolves with the failures that matter.
 */
export async function applyNoted(
  context: Pick<PassContext, "kernel" | "mirror">,
  steps: readonly Step[],
  still: (part: readonly Step[]) => readonly Step[] = (part) => part,
): Promise<StepFailure[]> {
  const found: StepFailure[] = [];
  for (let start = 0; start < steps.length; start += STEPS_AT_ONCE) {
    const part = still(steps.slice(start, start + STEPS_AT_ONCE));
    const failures = await context.kernel.apply(part);
    const failed = new Set(failures.filter((failure) => !isGone(failure)).map(({ step }) => step));
    context.mirror.note(part.filter((step) => !failed.has(step)));
    found.push(...realFailures(failures));
  }
  return found;
}

/** What a network should be, by the tables as they are at this moment; the rest takes a while. */
async function lookup(
  { source, slices }: PassContext,
  network: Network,
): Promise<{ readonly desired: DesiredNetwork; readonly keep: Keep } | undefined> {
  const input = source();
  const current = input.networks.find(({ name, id }) => name === network.name && id === network.id);
  if (current === undefined) return undefined;
  const { locals, remotes, options, groups, keep } = input;
  const desired = await slices.run(desiredInSlices(current, locals, remotes, options, groups));
  return { desired, keep };
}
