/**
 * Follows the engine: events at once, and a full comparison at the start, after each reconnection
 * and at an interval.
 *
 * Laws: events are hints, the comparison is the truth; a rename or a change of health, which have
 * no driver call, shows in the names at once. What a full disk did not take, calls that Docker does
 * not repeat among it, is made up for by comparisons that follow each other until it is done.
 */
import {
  type Cancel,
  type Clock,
  type EngineEvent,
  type Log,
  messageOf,
  TIMES,
} from "../../mesh/index.ts";
import type { HeldNetwork, Ledger } from "../ledger.ts";
import { CoalescingWorker } from "../serial.ts";
import type { EngineSync } from "./engine-sync.ts";
import type { ContainerNames } from "./names.ts";
import { DRIVER, type Networks } from "./networks.ts";
import type { DockerEngine } from "./ports.ts";
import type { SandboxHooks } from "./sandbox-hooks.ts";

/** Lets the driver calls of a container's end arrive before looking for lost ones. */
const SETTLE_MS = 1000;

export interface WatchPorts {
  readonly ledger: Ledger;
  readonly networks: Networks;
  readonly names: ContainerNames;
  readonly hooks: SandboxHooks;
  readonly sync: EngineSync;
  readonly engine: DockerEngine;
  /** DeleteNetwork, which does nothing when it was done before. */
  readonly deleteNetwork: (id: string) => Promise<unknown>;
  /** See NetworkRegister. */
  readonly freed: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WatchStatus {
  readonly connected: boolean;
  /** Clock.wallMs() of the last comparison that succeeded; null before the first. */
  readonly lastSyncWallMs: number | null;
  /** Why the last comparison failed; null when it did not. */
  readonly lastError: string | null;
  /** Endpoints whose end, and whose beginning, Docker's calls did not tell. */
  readonly released: number;
  readonly adopted: number;
}

export class EngineWatch {
  readonly #ports: WatchPorts;
  readonly #worker: CoalescingWorker;
  #cancel: Cancel | undefined;
  #lostOnce = false;
  #status: WatchStatus = {
    connected: false,
    lastSyncWallMs: null,
    lastError: null,
    released: 0,
    adopted: 0,
  };

  constructor(ports: WatchPorts) {
    this.#ports = ports;
    this.#worker = new CoalescingWorker(ports.clock, "engine sync", () => this.#compare());
  }

  /** Subscribes to events; the first comparison follows at once. */
  start(): void {
    this.#cancel = this.#ports.engine.onEvent((event) => this.#receive(event));
    this.#worker.request();
  }

  /** Ends; resolves when no comparison runs. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#worker.stop();
  }

  /** Resolves when a comparison that began after this call is over, successful or not. */
  async flush(): Promise<void> {
    await this.#worker.flush();
  }

  /** The state directory did not take what Docker says once only. */
  unwritten(): void {
    this.#worker.request(TIMES.storeRetryMs);
  }

  status(): WatchStatus {
    return this.#status;
  }

  async #compare(): Promise<void> {
    const { sync, freed, clock, log } = this.#ports;
    let nextMs: number = TIMES.engineSyncMs;
    try {
      const result = await sync.pass();
      if (result.again) nextMs = TIMES.engineAbsentMs + SETTLE_MS;
      if (result.unwritten) nextMs = TIMES.storeRetryMs;
      if (result.released > 0) freed();
      this.#status = {
        ...this.#status,
        lastSyncWallMs: clock.wallMs(),
        lastError: null,
        released: this.#status.released + result.released,
        adopted: this.#status.adopted + result.adopted,
      };
    } catch (error) {
      const reason = messageOf(error);
      if (reason !== this.#status.lastError) log.warn({ reason }, "not compared with the engine");
      this.#status = { ...this.#status, lastError: reason };
      nextMs = TIMES.engineRetryMsMax;
    }
    this.#worker.request(nextMs);
  }

  #receive(event: EngineEvent): void {
    if (event.type === "connected") this.#connected();
    else if (event.type === "disconnected") this.#disconnected();
    else if (event.type === "network") this.#networkEvent(event);
    else this.#containerEvent(event);
  }

  #connected(): void {
    this.#status = { ...this.#status, connected: true };
    this.#ports.log.info({}, "following the Docker engine");
    if (this.#lostOnce) void this.#ports.hooks.refresh();
    this.#worker.request();
  }

  #disconnected(): void {
    this.#lostOnce = true;
    this.#status = { ...this.#status, connected: false };
    this.#ports.log.warn({}, "the Docker engine went away; nothing is removed until it is back");
    this.#worker.request(SETTLE_MS);
  }

  #networkEvent({ action, id, attributes }: EngineEvent): void {
    const { ledger, networks, names, log } = this.#ports;
    const held = ledger.network(id);
    if (action === "create" && held !== undefined && attributes.type === DRIVER) {
      networks.rename(held, attributes.name ?? held.name).catch((error: unknown) => {
        log.warn({ network: attributes.name, reason: messageOf(error) }, "network not named yet");
        this.unwritten();
      });
    }
    if (held === undefined) return;
    if (action === "connect" && attributes.container !== undefined) {
      const nameless = ledger.endpointsOf(id).some((one) => one.joined && one.containerId === "");
      if (nameless) names.learn(attributes.container);
    }
    if (action === "destroy") this.#removed(held);
    if (action === "disconnect" || action === "destroy") this.#worker.request(SETTLE_MS);
  }

  /** Somebody's `network rm` whose call never came: of a network it lost no engine says so. */
  #removed({ id, name }: HeldNetwork): void {
    const { deleteNetwork, log } = this.#ports;
    deleteNetwork(id).catch((error: unknown) => {
      log.warn({ network: name, reason: messageOf(error) }, "network removed without a call");
    });
  }

  #containerEvent({ action, id, attributes }: EngineEvent): void {
    const { names, log } = this.#ports;
    const former = action === "rename" ? attributes.oldName : attributes.name;
    const isTold = action === "rename" || action.startsWith("health_status");
    if (isTold && names.concerns(id, former ?? "")) {
      names.refresh(id, TIMES.engineCallMs).catch((error: unknown) => {
        log.warn({ container: id, reason: messageOf(error) }, "name or health not learned yet");
        this.#worker.request(SETTLE_MS);
      });
    }
    const ended = action === "die" || action === "destroy";
    if (ended && names.concerns(id, attributes.name ?? "")) this.#worker.request(SETTLE_MS);
  }
}
