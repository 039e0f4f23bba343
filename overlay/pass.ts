/**
 * One full pass over all networks, and what it would do.
 *
 * Laws: the tables are read after the kernel was looked at, so a Join that came in between is seen
 * and never undone; what still differs after applying is drift and is reported, not assumed away;
 * one broken network does not stop the others.
 */
import { type Kernel, type Log, messageOf } from "../mesh/index.ts";
import { type DesiredOptions, desiredInSlices } from "./desired.ts";
import { diffInSlices } from "./diff.ts";
import type { Keep } from "./diff-remote.ts";
import type { RemoteGroups } from "./groups/copies.ts";
import type { HealedNetwork } from "./healed.ts";
import type { Meanwhile } from "./meanwhile.ts";
import type { Mirror } from "./mirror.ts";
import { type LocalEndpoint, type Network, netnsName, type RemoteEndpoint } from "./model.ts";
import { reconcileNetwork } from "./network-pass.ts";
import { currentOf } from "./recheck.ts";
import type { SerialQueue } from "./serial.ts";
import type { Slices } from "./slices.ts";
import type { ObservedNetwork, Scope, Step } from "./state.ts";

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
  /** Whatever changes the kernel takes a turn of it. */
  readonly queue: SerialQueue;
  /** Long work in many turns: one of them at a time waits in `queue`, so that others pass it. */
  readonly parts: SerialQueue;
  readonly meanwhile: Meanwhile;
  /** Steps of one batch. */
  readonly batchSteps: number;
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

/** What a pass over one network did. */
export interface NetworkResult {
  readonly steps: readonly Step[];
  readonly drift: number;
  readonly error: string | undefined;
  readonly unplugged: readonly string[];
}

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
    const input = context.source();
    const current = currentOf(input, network);
    if (current === undefined) continue;
    const { locals, remotes, options, groups, keep } = input;
    const wanted = desiredInSlices(current, locals, remotes, options, groups);
    const desired = await context.slices.run(wanted);
    steps.push(await context.slices.run(diffInSlices(desired, observed, keep)));
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
