/**
 * The only road from the tables to the kernel: full passes, the fast path for changed rows, and
 * the plugging of endpoints, all through one queue.
 *
 * Laws: on every change, on hints, and in full every 30 s the kernel is compared with the tables
 * and repaired; passes coalesce and never run side by side; a pass that changed nothing causes no
 * event, so hints cannot keep it going; stopping leaves the kernel as it is.
 */
import { type Cancel, type Clock, type Log, messageOf, TIMES } from "../mesh/index.ts";
import { applyNoted, BATCH_STEPS } from "./apply.ts";
import { networkCopies } from "./desired.ts";
import type { EntryTables, Touched } from "./diff-remote.ts";
import { copySteps, vtepsAfter } from "./groups/copies.ts";
import type { HealedNetwork } from "./healed.ts";
import { Hints } from "./hints.ts";
import { Meanwhile } from "./meanwhile.ts";
import { Mirror } from "./mirror.ts";
import { type LocalEndpoint, type Network, netnsName } from "./model.ts";
import { moveNetwork } from "./move.ts";
import {
  fullPass,
  type KernelPort,
  type PassContext,
  planPass,
  type ReconcileInput,
} from "./pass.ts";
import { plugEndpoint, removeNamespace, unplugEndpoint } from "./plug.ts";
import { batchText, render, renderInSlices } from "./render.ts";
import { CoalescingWorker, SerialQueue } from "./serial.ts";
import { Slices } from "./slices.ts";
import type { Step } from "./state.ts";
import { type RemoteChange, touchedSteps } from "./touched.ts";

export interface ReconcilerPorts {
  readonly kernel: KernelPort;
  readonly clock: Clock;
  readonly log: Log;
  /** Told what a full pass put right that somebody else had changed. */
  readonly healed?: (network: HealedNetwork) => void;
  /** Steps of one batch, for which whatever comes in between waits. Default: BATCH_STEPS. */
  readonly batchSteps?: number;
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
/** A changed row is three entries, and counts twice: `ip` and `bridge` wait for one another. */
const ROW_STEPS = 6;

export class Reconciler {
  readonly #ports: ReconcilerPorts;
  readonly #context: PassContext;
  readonly #worker: CoalescingWorker;
  readonly #hints: Hints;
  /** Changed keys that wait for the queue. BOUNDED: rows of the mesh; emptied each turn. */
  #changes: RemoteChange[] = [];
  #changesApplied: Promise<void> | undefined;
  /** The last changes that took more than one batch. */
  #manyChanges: Promise<void> = Promise.resolve();
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
    const { kernel, log, healed, batchSteps = BATCH_STEPS } = ports;
    const mirror = new Mirror();
    const [queue, parts] = [new SerialQueue(), new SerialQueue()];
    const [slices, meanwhile] = [new Slices(ports.clock), new Meanwhile()];
    const own = { mirror, queue, parts, meanwhile, slices };
    this.#context = { kernel, log, source, healed, batchSteps, ...own };
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
   * Programs changed remote rows at once, from memory: lines to the open `ip` and `bridge` for a
   * batch of those that came together. Resolves when they are in the kernel or left to a full
   * pass. Their cost follows the changes, not the mesh: the kernel's own echo confirms them
   * (echo.ts).
   */
  applyRemote(changes: readonly RemoteChange[]): Promise<void> {
    for (const change of changes) this.#changes.push(change);
    this.#changesApplied ??= this.#applyWaiting();
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
    const steps = await planPass(this.#context);
    const { kernel, slices } = this.#context;
    return batchText(await slices.run(renderInSlices(steps, kernel.hostNetns)));
  }

  async #pass(): Promise<void> {
    const { clock } = this.#ports;
    // Looking at a mesh of which half has arrived costs as much as bringing in the other half.
    await this.#manyChanges;
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

  /** All that came together, in turns of the queue. */
  async #applyWaiting(): Promise<void> {
    const { queue, batchSteps } = this.#context;
    const atOnce = Math.max(1, Math.floor(batchSteps / ROW_STEPS));
    let changes: readonly RemoteChange[] = [];
    await queue.run(async () => {
      changes = this.#changes;
      this.#changes = [];
      this.#changesApplied = undefined;
      const groupsChanged = this.#groupsChanged;
      this.#groupsChanged = false;
      await this.#applyChanges(changes.slice(0, atOnce), groupsChanged);
    });
    if (changes.length <= atOnce) return;
    const rest = this.#applyRest(changes, atOnce);
    this.#manyChanges = rest;
    await rest;
  }

  async #applyRest(changes: readonly RemoteChange[], atOnce: number): Promise<void> {
    const { queue, parts } = this.#context;
    for (let start = atOnce; start < changes.length; start += atOnce) {
      const some = changes.slice(start, start + atOnce);
      await parts.run(() => queue.run(() => this.#applyChanges(some, false)));
    }
  }

  /** Runs in the queue. Never rejects: what fails is left to the next full pass. */
  async #applyChanges(changes: readonly RemoteChange[], groupsChanged: boolean): Promise<void> {
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

  /** Decided and applied in one turn, so nothing that it removes can have come back. */
  async #applyChanged(
    network: Network,
    changes: readonly RemoteChange[],
    groupsChanged: boolean,
  ): Promise<void> {
    const tables = this.#context.mirror.tables(netnsName(network));
    if (tables === undefined) {
      this.request(`changes in ${network.name} before its first pass`);
      return;
    }
    const steps = this.#changedSteps(network, changes, groupsChanged, tables);
    const [failed] = await applyNoted(this.#context, steps);
    this.#count(steps);
    if (failed !== undefined) throw new Error(`${failed.step.kind}: ${failed.error}`);
  }

  #changedSteps(
    network: Network,
    changes: readonly RemoteChange[],
    groupsChanged: boolean,
    tables: EntryTables,
  ): readonly Step[] {
    const { source, mirror, meanwhile } = this.#context;
    const input = source();
    const netns = netnsName(network);
    const others = meanwhile.of(netns);
    const told = (decided: Touched) => others?.entries(decided);
    const touched = touchedSteps(network, changes, input, tables, told);
    const vteps = vtepsAfter(mirror.vteps(netns), touched);
    if (!groupsChanged && vteps === undefined) return touched;
    others?.copies();
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
