/**
 * A full pass over one network, in turns of the queue, so that a Join, a Leave or a changed row
 * gets in between its batches and waits for one of them, not for a mesh.
 *
 * Laws: looking and comparing take no turn; each batch takes one, and so do the devices, which are
 * decided and built in the same. What others decided since the rows were read stands
 * (meanwhile.ts); what is removed is decided once more in the turn in which it is applied
 * (recheck.ts). What still differs after applying, apart from that, is drift.
 */
import { applyNoted, partsOf } from "./apply.ts";
import { desiredInSlices, desiredNetwork, networkCopies } from "./desired.ts";
import { deviceSteps, diffInSlices, unplugged } from "./diff.ts";
import { type EntryTables, type Keep, remoteInSlices } from "./diff-remote.ts";
import { failureText, type StepFailure } from "./failures.ts";
import { copySteps } from "./groups/copies.ts";
import { healedBy } from "./healed.ts";
import type { Others } from "./meanwhile.ts";
import type { Known } from "./mirror.ts";
import { type Network, netnsName, overlayEnd } from "./model.ts";
import type { NetworkResult, PassContext, ReconcileInput } from "./pass.ts";
import { currentOf, stillRight } from "./recheck.ts";
import type { Sliced } from "./slices.ts";
import {
  type Copies,
  type DesiredNetwork,
  entryKey,
  type ObservedNetwork,
  type Step,
} from "./state.ts";

/** So often a pass begins anew because somebody else made the namespace anew. */
const LOOKS = 3;

/** Rejects with what observing throws, and with `CONFIG` for a network that makes no sense. */
export async function reconcileNetwork(
  context: PassContext,
  network: Network,
): Promise<NetworkResult> {
  const netns = netnsName(network);
  const pass = new NetworkPass(context, network, context.meanwhile.open(netns));
  try {
    for (let look = 0; look < LOOKS; look++) {
      const result = await pass.run();
      if (result !== undefined) return result;
    }
    return pass.givenUp();
  } finally {
    context.meanwhile.close(netns);
  }
}

/** What a pass decides from, and the steps to the devices that it took at once. */
interface Start {
  readonly input: ReconcileInput;
  readonly current: Network;
  readonly devices: readonly Step[];
  readonly isNewMtu: boolean;
}

/** What is left to do once the devices are right. */
interface Plan {
  readonly desired: DesiredNetwork;
  readonly entries: readonly Step[];
  readonly copies: readonly Step[];
  readonly keep: Keep;
  /** Nothing was to do, and nothing is. */
  readonly isDone: boolean;
}

class NetworkPass {
  /** Steps that were taken. BOUNDED: the entries of a network, LOOKS times. */
  readonly #done: Step[] = [];
  readonly #context: PassContext;
  readonly #network: Network;
  readonly #others: Others;
  readonly #netns: string;
  #failed: StepFailure | undefined;

  constructor(context: PassContext, network: Network, others: Others) {
    this.#context = context;
    this.#network = network;
    this.#others = others;
    this.#netns = netnsName(network);
  }

  /** Undefined: somebody made the namespace anew, so it must be looked at again. */
  async run(): Promise<NetworkResult | undefined> {
    const { kernel, mirror } = this.#context;
    this.#failed = undefined;
    // In a turn, so that nobody is in the middle of something.
    const known = await this.#turn(async () => {
      this.#others.beginLook();
      return mirror.known(this.#netns);
    });
    const observed = await kernel.observe({ netns: this.#netns });
    const plan = await this.#plan(observed, known);
    if (plan === "remade") return undefined;
    if (plan === "gone") return { steps: this.#done, drift: 0, error: undefined, unplugged: [] };
    const { desired, entries, copies, keep } = plan;
    if (plan.isDone) return this.#result(0, desired, observed);
    if (!(await this.#applyEntries(entries))) return undefined;
    const wanted = copies.length === 0 ? desired : await this.#applyCopies(desired);
    return wanted && (await this.#verify(wanted, keep));
  }

  /** Puts the devices right, and compares the tables; what it read of the rows goes with it. */
  async #plan(
    observed: ObservedNetwork,
    known: Known | undefined,
  ): Promise<Plan | "remade" | "gone"> {
    const { slices } = this.#context;
    const start = await this.#turn(() => this.#start(observed));
    if (typeof start === "string") return start;
    const { keep } = start.input;
    const desired = await slices.run(wantedInSlices(start));
    const { entries, copies } = await this.#tableSteps(desired, keep);
    if (this.#others.isRemade) return "remade";
    const planned = start.devices.concat(this.#others.left(entries), this.#others.left(copies));
    if (planned.length > 0) await this.#tell(start, planned, observed, known);
    return { desired, entries, copies, keep, isDone: planned.length === 0 };
  }

  /** Somebody makes the namespace anew all the time; another pass soon. */
  givenUp(): NetworkResult {
    return { steps: this.#done, drift: 1, error: undefined, unplugged: [] };
  }

  /** Of passes, one turn at a time waits in the queue, so that others wait for one of them. */
  #turn<T>(job: () => Promise<T>): Promise<T> {
    const { parts, queue } = this.#context;
    return parts.run(() => queue.run(job));
  }

  /** Reads the rows, and puts the devices right by rows and links of this very turn. */
  async #start(observed: ObservedNetwork): Promise<Start | "remade" | "gone"> {
    const { mirror, source } = this.#context;
    if (this.#others.isRemade) return "remade";
    const input = { ...source() };
    const current = currentOf(input, this.#network);
    if (current === undefined) return "gone";
    this.#others.beginRows();
    mirror.load(observed);
    const shape = desiredNetwork(current, input.locals, [], input.options);
    const isNewMtu = mirror.isNewMtu(this.#netns, shape.mtuBytes);
    const devices = this.#others.left(deviceSteps(shape, observed, input.keep));
    await this.#apply(devices);
    return { input, current, devices, isNewMtu };
  }

  /** Compares with what the mirror holds while others change it. */
  async #tableSteps(
    desired: DesiredNetwork,
    keep: Keep,
  ): Promise<{ readonly entries: readonly Step[]; readonly copies: readonly Step[] }> {
    const { mirror, slices } = this.#context;
    const tables = mirror.tables(this.#netns);
    if (tables === undefined) return { entries: [], copies: [] };
    const entries = await slices.run(remoteInSlices(desired, tables, keep));
    return { entries, copies: copySteps(desired, tables.floods, keep) };
  }

  async #tell(
    { isNewMtu }: Start,
    planned: readonly Step[],
    observed: ObservedNetwork,
    known: Known | undefined,
  ): Promise<void> {
    const { slices, healed } = this.#context;
    const drifted = isNewMtu
      ? planned.filter(({ kind }) => !/^(bridge|port)-set$/.test(kind))
      : planned;
    const found = await slices.run(healedBy(this.#network.name, drifted, observed, known));
    if (found !== undefined) healed?.(found);
  }

  /** Each batch in a turn of its own. False: the namespace is another one. */
  async #applyEntries(entries: readonly Step[]): Promise<boolean> {
    for (const part of partsOf(entries, this.#context.batchSteps)) {
      const goesOn = await this.#turn(async () => {
        if (this.#others.isRemade) return false;
        await this.#apply(this.#still(this.#others.left(part)));
        return true;
      });
      if (!goesOn) return false;
    }
    return true;
  }

  /**
   * Decided in each turn anew, since what others put into the tables needs copies, too. Resolves
   * with what was wanted at last; undefined: the namespace is another one.
   */
  async #applyCopies(desired: DesiredNetwork): Promise<DesiredNetwork | undefined> {
    const tried = new Set<string>();
    let wanted: DesiredNetwork | undefined = desired;
    for (let isMore = true; isMore && wanted !== undefined; ) {
      wanted = await this.#turn(async () => {
        const tables = this.#context.mirror.tables(this.#netns);
        if (this.#others.isRemade || tables === undefined) return undefined;
        this.#others.beginCopies();
        const input = this.#context.source();
        const copies = this.#copies(desired, tables, input);
        const steps = this.#still(
          copySteps({ netns: this.#netns, copies }, tables.floods, input.keep),
        );
        const fresh = steps.filter((step) => !tried.has(keyOf(step)));
        const part = fresh.slice(0, this.#context.batchSteps);
        for (const step of part) tried.add(keyOf(step));
        await this.#apply(part);
        isMore = fresh.length > part.length;
        return { ...desired, copies };
      });
    }
    return wanted;
  }

  /** By the forwards that this pass wanted, and those that others decided on since. */
  #copies(desired: DesiredNetwork, tables: EntryTables, input: ReconcileInput): Copies {
    const vteps = new Set(desired.remote.forwards.values());
    for (const mac of this.#others.macs) {
      const vtep = tables.forwards.get(mac)?.vtep;
      if (vtep !== undefined) vteps.add(vtep);
    }
    return networkCopies(this.#network, vteps, input.groups ?? [], input.options);
  }

  async #apply(steps: readonly Step[]): Promise<void> {
    for (const step of steps) this.#done.push(step);
    const [failed] = await applyNoted(this.#context, steps);
    this.#failed ??= failed;
  }

  #still(steps: readonly Step[]): readonly Step[] {
    const { source, mirror } = this.#context;
    return stillRight(steps, this.#network, source(), mirror.tables(this.#netns));
  }

  async #verify(desired: DesiredNetwork, keep: Keep): Promise<NetworkResult | undefined> {
    const { kernel, mirror, slices } = this.#context;
    // From here the mirror remembers what others write while this looks.
    mirror.known(this.#netns);
    const after = await kernel.observe({ netns: this.#netns });
    if (this.#others.isRemade) return undefined;
    mirror.load(after);
    const steps = await slices.run(diffInSlices(desired, after, keep));
    if (this.#others.isRemade) return undefined;
    return this.#result(this.#still(this.#others.left(steps)).length, desired, after);
  }

  #result(drift: number, desired: DesiredNetwork, observed: ObservedNetwork): NetworkResult {
    const error = this.#failed && `network ${this.#network.name}: ${failureText(this.#failed)}`;
    const bare = unplugged(desired, observed);
    return {
      steps: this.#done,
      drift,
      error,
      unplugged: bare.filter((id) => !this.#others.hasDevice(overlayEnd(id))),
    };
  }
}

function wantedInSlices({ input, current }: Start): Sliced<DesiredNetwork> {
  const { locals, remotes, options, groups } = input;
  return desiredInSlices(current, locals, remotes, options, groups);
}

function keyOf(step: Step): string {
  return `${step.kind} ${entryKey(step)}`;
}
