/**
 * One sandbox of this host: its endpoints, its session, and the order of changes to them.
 *
 * Law: changes to one sandbox happen one after the other; a sandbox whose hook cannot be opened
 * stays on Docker's resolver and says so.
 */
import {
  asTsweaveError,
  type Clock,
  type Log,
  messageOf,
  type Random,
  TIMES,
  type TsweaveError,
} from "../mesh/index.ts";
import { Forwarder } from "./forwarder.ts";
import type { Gate } from "./gate.ts";
import type { Asker } from "./lookup.ts";
import { foldCase } from "./name.ts";
import type { SandboxEndpoint } from "./record.ts";
import type { DatagramDoor, SandboxHook, SandboxSockets } from "./sandbox.ts";
import { type DnsCounters, Session } from "./session.ts";
import type { Zone } from "./zone.ts";

/** What all slots share. */
export interface SlotContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly hook: SandboxHook;
  readonly opening: Gate;
  readonly restoring: Gate;
  readonly counters: DnsCounters;
  readonly zone: Zone;
}

/** A helper that failed so may do better at once; the others need a person. */
const WORTH_RETRYING = new Set(["TIMED_OUT", "COMMAND_FAILED"]);
const DEAF_PAUSE_MS_MAX = 3_600_000;

/** A sandbox whose lookups come here. */
interface Hooked {
  readonly session: Session;
  readonly sockets: SandboxSockets;
}

export class Slot {
  readonly key: string;
  readonly #context: SlotContext;
  /** BOUNDED: an engine attaches a container to its networks, LIMITS.networksMax at most. */
  readonly #endpoints = new Map<string, SandboxEndpoint>();
  #asker: Asker = { networks: new Set(), links: new Set() };
  #internal = false;
  #hooked: Hooked | undefined;
  #problem: TsweaveError | undefined;
  #tail: Promise<void> = Promise.resolve();
  #deafPauseMs: number = TIMES.dnsDeafPauseMs;
  #deafUntilMs = 0;

  constructor(key: string, context: SlotContext) {
    this.key = key;
    this.#context = context;
  }

  get empty(): boolean {
    return this.#endpoints.size === 0;
  }

  get hooked(): boolean {
    return this.#hooked !== undefined;
  }

  /** Why the sandbox is not hooked although it should be. */
  get problem(): TsweaveError | undefined {
    return this.#problem;
  }

  get networks(): readonly string[] {
    return [...this.#asker.networks];
  }

  /** Adds or updates an endpoint; takes effect at the next query. */
  put(endpoint: SandboxEndpoint): void {
    this.#endpoints.set(endpoint.endpointId, endpoint);
    this.#refreshView();
  }

  drop(endpointId: string): void {
    this.#endpoints.delete(endpointId);
    this.#refreshView();
  }

  clear(): void {
    this.#endpoints.clear();
    this.#refreshView();
  }

  /** Opens the hook unless it is open or no endpoint is left; rejects when it cannot. */
  ensure(): Promise<void> {
    return this.#serially(async () => {
      if (!this.hooked && !this.empty) await this.#install(() => this.#open());
    });
  }

  /**
   * Puts the redirect in place anew, with a fresh way to Docker's resolver behind the same sockets:
   * what is on its way to them is answered.
   */
  renew(): Promise<void> {
    return this.#serially(async () => {
      if (this.empty) return;
      const hooked = this.#hooked;
      await this.#install(() => (hooked === undefined ? this.#open() : this.#reopen(hooked)));
    });
  }

  /** Puts the redirect back where somebody else removed it. Never rejects. */
  async check(): Promise<void> {
    const { hook, log } = this.#context;
    if (!this.hooked || (await hook.isInPlace(this.key)) || !this.hooked) return;
    log.warn({ key: this.key }, "the dns redirect is gone, opening the hook anew");
    await this.renew().catch((error: unknown) => {
      log.error({ key: this.key, err: messageOf(error) }, "dns hook not renewed");
    });
  }

  /** Closes the session if no endpoint is left; `restore` also removes the redirect first. */
  shut(options: { readonly restore: boolean }): Promise<void> {
    return this.#serially(async () => {
      if (!this.empty) return;
      try {
        if (options.restore) await this.#restore();
      } finally {
        await this.#close();
        this.#problem = undefined;
      }
    });
  }

  #serially(change: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(change);
    this.#tail = result.catch(() => {}); // The caller gets the failure; the next change still runs.
    return result;
  }

  async #install(open: () => Promise<Hooked>): Promise<void> {
    try {
      this.#hooked = await this.#withRetry(open);
      this.#problem = undefined;
    } catch (error) {
      this.#problem = asTsweaveError(error);
      if (this.#problem.code !== "NOT_FOUND") {
        this.#context.log.error({ key: this.key, err: messageOf(error) }, "dns hook failed");
        await this.#restore();
      }
      await this.#close();
      throw this.#problem;
    }
  }

  async #withRetry(open: () => Promise<Hooked>): Promise<Hooked> {
    const { opening, log } = this.#context;
    try {
      return await opening.run(open);
    } catch (error) {
      if (!WORTH_RETRYING.has(asTsweaveError(error).code)) throw error;
      log.warn({ key: this.key, err: messageOf(error) }, "dns hook failed, trying once more");
    }
    return await opening.run(open);
  }

  async #open(): Promise<Hooked> {
    const { hook, counters } = this.#context;
    const sockets = await hook.open(this.key);
    const view = { zone: this.#context.zone, asker: () => this.#asker };
    const ports = { ...this.#context, elsewhere: this.#forwarder(sockets.upstream) };
    const session = new Session(ports, sockets, view, counters);
    try {
      await sockets.install();
    } catch (error) {
      await session.close();
      throw error;
    }
    return { session, sockets };
  }

  async #reopen(hooked: Hooked): Promise<Hooked> {
    const { upstream, install } = await hooked.sockets.reopen();
    await install();
    hooked.session.turnTo(this.#forwarder(upstream));
    return hooked;
  }

  async #close(): Promise<void> {
    const hooked = this.#hooked;
    this.#hooked = undefined;
    await hooked?.session.close();
  }

  #forwarder(upstream: DatagramDoor): Forwarder {
    const forwarder: Forwarder = new Forwarder(
      { ...this.#context, upstream },
      {
        timeoutMs: () => (this.#internal ? TIMES.dnsForwardInternalMs : TIMES.dnsForwardMs),
        onDeaf: () => this.#deaf(forwarder),
      },
    );
    return forwarder;
  }

  /** Best effort: the redirect's removal is worth a warning, never worth failing the change. */
  async #restore(): Promise<void> {
    const { hook, restoring, log } = this.#context;
    try {
      await restoring.run(() => hook.restore(this.key));
    } catch (error) {
      log.warn({ key: this.key, err: messageOf(error) }, "dns redirect not removed");
    }
  }

  /**
   * The kernel keeps translating a busy UDP flow by the rule it met first, so after an engine
   * restarted with a new resolver port only a fresh socket finds it. Pauses double while a fresh
   * one hears nothing either.
   */
  #deaf(forwarder: Forwarder): void {
    const { clock, log } = this.#context;
    if (this.#internal || clock.nowMs() < this.#deafUntilMs) return;
    if (forwarder.heard) this.#deafPauseMs = TIMES.dnsDeafPauseMs;
    this.#deafUntilMs = clock.nowMs() + this.#deafPauseMs;
    this.#deafPauseMs = Math.min(this.#deafPauseMs * 2, DEAF_PAUSE_MS_MAX);
    log.warn({ key: this.key }, "no answer from the engine's resolver, opening the hook anew");
    this.renew().catch((error: unknown) => {
      log.error({ key: this.key, err: messageOf(error) }, "dns hook not renewed");
    });
  }

  #refreshView(): void {
    const endpoints = [...this.#endpoints.values()];
    this.#asker = {
      networks: new Set(endpoints.map((endpoint) => endpoint.network)),
      links: new Set(endpoints.flatMap((endpoint) => endpoint.links.map(foldCase))),
    };
    this.#internal = endpoints.length > 0 && endpoints.every((endpoint) => endpoint.internal);
  }
}
