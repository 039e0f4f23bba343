/**
 * The only road from the tables to the kernel: full passes, the fast path for changed rows, and
 * the plugging of endpoints, all through one queue.
 *
 * Laws: on every change, on hints, and in full every 30 s the kernel is compared with the tables
 * and repaired; passes coalesce and never run side by side; a pass that changed nothing causes no
 * event, so hints cannot keep it going; stopping leaves the kernel as it is.
 */
import { type Cancel, type Clock, type Log, messageOf, TIMES } from "../mesh/index.ts";
import { networkCopies } from "./desired.ts";
import type { EntryTables } from "./diff-remote.ts";
import { copySteps, vtepsAfter } from "./groups/copies.ts";
import type { HealedNetwork } from "./healed.ts";
import { Hints } from "./hints.ts";
import { Mirror } from "./mirror.ts";
import { type LocalEndpoint, type Network, netnsName } from "./model.ts";
import { moveNetwork } from "./move.ts";
import {
  applyNoted,
  fullPass,
  type KernelPort,
  type PassContext,
  planPass,
  type ReconcileInput,
} from "./pass.ts";
import { plugEndpoint, removeNamespace, unplugEndpoint } from "./plug.ts";
import { stillRight } from "./recheck.ts";
import { batchText, render } from "./render.ts";
import { CoalescingWorker, SerialQueue } from "./serial.ts";
import { type Sliced, Slices, whole } from "./slices.ts";
import type { Step } from "./state.ts";
import { type RemoteChange, touchedInSlices } from "./touched.ts";

export interface ReconcilerPorts {
  readonly kernel: KernelPort;
  readonly clock: Clock;
  readonly log: Log;
  /** Told what a full pass put right that somebody else had changed. */
  readonly healed?: (network: HealedNetwork) => void;
}

export interface ReconcileStatus {
  /** True when the last pass left nothing to do and met no error. */
  readonly inSync: boolean;
  /** How long the last pass took; null before the first. */
  readonly lastReconcileMs: number | null;
  /** Clock.nowMs() at its end; null before the first. */
  readonly lastAtMs: number | null;
  /** Steps still needed after it. */
  readonly drift: number;
  readonly lastError: string | null;
  readonly passes: number;
  /** Steps applied since the start. */
  readonly steps: number;
  /**
   * Ids of local endpoints without a veth pair in two passes, one after the other: lost, or
   * created and not joined for a while.
   */
  readonly unplugged: readonly string[];
}

/** Lets the companions of a change arrive before looking. */
const LOOK_DELAY_MS = 200;
/** Passes that hints cause take at most about one part in this of the time. */
const HINT_DUTY = 10;
const HINT_SPACING_MS = 1000;
const HINT_SPACING_MS_MAX = 3000;
const RETRY_MS = 1000;
/** Changed rows that take a millisecond or two. */
const FEW = 100;

export class Reconciler {
  readonly #ports: ReconcilerPorts;
  readonly #context: PassContext;
  readonly #worker: CoalescingWorker;
  readonly #hints: Hints;
  /** Changed keys that wait for the queue. BOUNDED: rows of the mesh; emptied each turn. */
  #changes: RemoteChange[] = [];
  #changesApplied: Promise<void> | undefined;
  /** Other hosts have members of other groups. */
  #groupsChanged = false;
  #unsubscribe: Cancel | undefined;
  #failures = 0;
  /** Ids without a veth pair in the last pass. */
  #unpluggedOnce: readonly string[] = [];
  #lastSteps: readonly Step[] = [];
  #status: ReconcileStatus = {
    inSync: false,
    lastReconcileMs: null,
    lastAtMs: null,
    drift: 0,
    lastError: null,
    passes: 0,
    steps: 0,
    unplugged: [],
  };

  /** `source` is read afresh for every decision; it must list an endpoint before it is plugged. */
  constructor(ports: ReconcilerPorts, source: () => ReconcileInput) {
    this.#ports = ports;
    const { kernel, log, healed } = ports;
    const mirror = new Mirror();
    const [queue, slices] = [new SerialQueue(), new Slices(ports.clock)];
    this.#context = { kernel, log, source, mirror, queue, slices, healed };
    this.#worker = new CoalescingWorker(ports.clock, "reconcile", () => this.#pass());
    this.#hints = new Hints(ports.clock, this.#context.mirror, () => this.#lookAgain(0));
  }

  /** Starts full passes: one now, then on requests, hints and at the interval. */
  start(): void {
    this.#unsubscribe = this.#ports.kernel.onDirty((hint) => this.#hints.take(hint));
    this.request("start");
  }

  /** Ends passes; resolves when none runs. Kernel state stays as it is. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#hints.stop();
    await this.#worker.stop();
  }

  /** Asks for a full pass soon. */
  request(reason: string): void {
    this.#ports.log.debug({ reason }, "reconcile requested");
    this.#worker.request();
  }

  /** Resolves when a full pass that started after this call is done. */
  flush(): Promise<void> {
    return this.#worker.flush();
  }

  /**
   * Programs changed remote rows at once, from memory: one `ip` and one `bridge` process for all
   * changes that came together. Resolves when they are in the kernel or left to a full pass. Their
   * cost follows the changes, not the mesh: the kernel's own echo confirms them (echo.ts).
   */
  applyRemote(changes: readonly RemoteChange[]): Promise<void> {
    for (const change of changes) this.#changes.push(change);
    this.#changesApplied ??= this.#context.queue.run(() => this.#applyChanges());
    return this.#changesApplied;
  }

  /** Programs who gets copies of multicast at once, as applyRemote does. */
  applyGroups(): Promise<void> {
    this.#groupsChanged = true;
    return this.applyRemote([]);
  }

  /**
   * Creates the endpoint's veth pair; the container end is then in the host's namespace with its
   * MAC and MTU. A pair of the same endpoint is replaced. Throws `COMMAND_FAILED`.
   */
  async plug(endpoint: LocalEndpoint, network: Network): Promise<void> {
    const job = () => plugEndpoint(this.#context, endpoint, network);
    const fast = await this.#context.queue.run(job);
    if (fast) this.#lookAgain(LOOK_DELAY_MS);
    else this.request("network built or repaired for an endpoint");
  }

  /** Deletes the endpoint's veth pair wherever its ends are. Idempotent. */
  async unplug(endpointId: string, network: Pick<Network, "id">): Promise<void> {
    await this.#context.queue.run(() => unplugEndpoint(this.#context, endpointId, network));
    this.#lookAgain(LOOK_DELAY_MS);
  }

  /** Removes a network's namespace; take it out of the source first. Idempotent. */
  async removeNetwork(network: Pick<Network, "id">): Promise<void> {
    await this.#context.queue.run(() => removeNamespace(this.#context, network));
  }

  /** See moveNetwork in move.ts; a full pass follows. */
  async moveNetwork(
    from: Pick<Network, "id">,
    to: Network,
    endpointIds: readonly string[],
  ): Promise<void> {
    await this.#context.queue.run(() => moveNetwork(this.#context, from, to, endpointIds));
    this.request("network moved to another namespace");
  }

  status(): ReconcileStatus {
    return this.#status;
  }

  /** Text of the last batches that were applied. */
  lastBatch(): string {
    return batchText(render(this.#lastSteps, this.#ports.kernel.hostNetns));
  }

  /** Text of what a pass would apply now; changes nothing. */
  async plan(): Promise<string> {
    return batchText(render(await planPass(this.#context), this.#ports.kernel.hostNetns));
  }

  async #pass(): Promise<void> {
    const { clock } = this.#ports;
    const startMs = clock.nowMs();
    const result = await fullPass(this.#context).catch((error: unknown) => ({
      steps: [],
      drift: 1,
      errors: [messageOf(error)],
      unplugged: this.#unpluggedOnce,
    }));
    const nowMs = clock.nowMs();
    const inSync = result.drift === 0 && result.errors.length === 0;
    this.#failures = inSync ? 0 : this.#failures + 1;
    this.#count(result.steps);
    this.#status = {
      ...this.#status,
      inSync,
      lastReconcileMs: nowMs - startMs,
      lastAtMs: nowMs,
      drift: result.drift,
      lastError: result.errors[0] ?? null,
      passes: this.#status.passes + 1,
      unplugged: result.unplugged.filter((id) => this.#unpluggedOnce.includes(id)),
    };
    const isNews = result.unplugged.length !== this.#status.unplugged.length;
    this.#unpluggedOnce = result.unplugged;
    this.#worker.request(isNews ? RETRY_MS : this.#nextDelayMs());
  }

  #nextDelayMs(): number {
    if (this.#failures === 0) return TIMES.reconcileIntervalMs;
    const doublings = Math.min(this.#failures - 1, 16);
    const { drift, lastError } = this.#status;
    this.#ports.log.warn({ drift, lastError }, "kernel differs after a pass; trying again");
    return Math.min(RETRY_MS * 2 ** doublings, TIMES.reconcileIntervalMs);
  }

  /** A pass soon, but not so often that looking costs more than the work it checks. */
  #lookAgain(delayMs: number): void {
    const { lastAtMs, lastReconcileMs } = this.#status;
    const dutyMs = Math.min(HINT_DUTY * (lastReconcileMs ?? 0), HINT_SPACING_MS_MAX);
    const spacingMs = Math.max(HINT_SPACING_MS, dutyMs);
    const earliestMs = lastAtMs === null ? 0 : lastAtMs + spacingMs - this.#ports.clock.nowMs();
    this.#worker.request(Math.max(delayMs, earliestMs));
  }

  /** Runs in the queue. Never rejects: what fails is left to the next full pass. */
  async #applyChanges(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    this.#changesApplied = undefined;
    const groupsChanged = this.#groupsChanged;
    this.#groupsChanged = false;
    const leave = (error: unknown) => {
      this.#ports.log.warn({ error: messageOf(error) }, "changed rows left to a full pass");
      this.#worker.request();
    };
    try {
      for (const network of this.#context.source().networks) {
        const own = changes.filter((change) => change.network === network.name);
        if (own.length === 0 && !groupsChanged) continue;
        await this.#applyChanged(network, own, groupsChanged).catch(leave);
      }
    } catch (error) {
      leave(error);
    }
  }

  /** Few changes are decided and applied in one turn; more give way, so see recheck.ts. */
  async #applyChanged(
    network: Network,
    changes: readonly RemoteChange[],
    groupsChanged: boolean,
  ): Promise<void> {
    const { source, mirror, slices } = this.#context;
    const netns = netnsName(network);
    const tables = mirror.tables(netns);
    if (tables === undefined) {
      this.request(`changes in ${network.name} before its first pass`);
      return;
    }
    const work = this.#changedSteps(network, changes, groupsChanged, tables);
    const isFew = changes.length <= FEW;
    const steps = isFew ? whole(work) : await slices.run(work);
    const still = isFew
      ? undefined
      : (part: readonly Step[]) => stillRight(part, network, source(), mirror.tables(netns));
    const [failed] = await applyNoted(this.#context, steps, still);
    this.#count(steps);
    if (failed !== undefined) throw new Error(`${failed.step.kind}: ${failed.error}`);
  }

  *#changedSteps(
    network: Network,
    changes: readonly RemoteChange[],
    groupsChanged: boolean,
    tables: EntryTables,
  ): Sliced<Step[]> {
    const { source, mirror } = this.#context;
    const input = source();
    const netns = netnsName(network);
    const touched = yield* touchedInSlices(network, changes, input, tables);
    const vteps = vtepsAfter(mirror.vteps(netns), touched);
    if (!groupsChanged && vteps === undefined) return touched;
    const known = vteps ?? mirror.vteps(netns);
    const copies = networkCopies(network, known, input.groups ?? [], input.options);
    return touched.concat(copySteps({ netns, copies }, tables.floods, input.keep));
  }

  #count(steps: readonly Step[]): void {
    if (steps.length === 0) return;
    this.#lastSteps = steps;
    this.#status = { ...this.#status, steps: this.#status.steps + steps.length };
  }
}
