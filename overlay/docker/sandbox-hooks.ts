/**
 * Brings the name service into the sandboxes of joined endpoints and keeps it there.
 *
 * Law: a container's first instruction can resolve names. Where the sandbox exists at Join (engine
 * 28, `network connect`) the hook is in place before Join is answered; else it waits for the
 * sandbox beside the start. A hook that fails costs remote names, never the container.
 */
import { type Clock, type Log, messageOf, TIMES } from "../../mesh/index.ts";
import type { HeldEndpoint, HeldNetwork } from "../ledger.ts";
import { within } from "./deadline.ts";
import type { SandboxDns, Sandboxes } from "./ports.ts";

interface Hook {
  readonly key: string;
  readonly links: string;
  readonly done: Promise<void>;
}

export class SandboxHooks {
  readonly #dns: SandboxDns;
  readonly #sandboxes: Sandboxes;
  readonly #clock: Clock;
  readonly #log: Log;
  /** BOUNDED: joined endpoints of the ledger; an entry goes in detach or when attaching fails. */
  readonly #hooks = new Map<string, Hook>();

  constructor(ports: {
    readonly dns: SandboxDns;
    readonly sandboxes: Sandboxes;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.#dns = ports.dns;
    this.#sandboxes = ports.sandboxes;
    this.#clock = ports.clock;
    this.#log = ports.log;
  }

  /** For Join: waits for the hook only where the sandbox is there already. Never rejects. */
  async ready(endpoint: HeldEndpoint, network: HeldNetwork): Promise<void> {
    const exists = await this.#exists(endpoint.sandboxKey);
    const done = this.#ensure(endpoint, network, !exists);
    if (!exists) return;
    await within(this.#clock, "name hook", TIMES.sandboxHookMs, done).catch((error: unknown) => {
      this.#log.warn({ endpoint: endpoint.id, reason: messageOf(error) }, "name hook is late");
    });
  }

  /**
   * Begins to put the hook of a joined endpoint in place if it is not, or has other links. To be
   * called in the endpoint's turn. Never rejects.
   */
  async ensure(endpoint: HeldEndpoint, network: HeldNetwork): Promise<void> {
    const current = this.#hooks.get(endpoint.id);
    if (current?.key === endpoint.sandboxKey && current.links === endpoint.links.join(" ")) return;
    void this.#ensure(endpoint, network, !(await this.#exists(endpoint.sandboxKey)));
  }

  /** Lets go of an endpoint's sandbox, waiting a bounded time. Never rejects. */
  async detach(endpointId: string): Promise<void> {
    this.#hooks.delete(endpointId);
    const work = this.#dns.detach(endpointId);
    await within(this.#clock, "name unhook", TIMES.sandboxHookMs, work).catch((error: unknown) => {
      this.#log.warn({ endpoint: endpointId, reason: messageOf(error) }, "sandbox not let go");
    });
  }

  /** The engine restarted: its resolver listens elsewhere. Never rejects. */
  async refresh(): Promise<void> {
    await this.#dns.refresh().catch((error: unknown) => {
      this.#log.warn({ reason: messageOf(error) }, "name hooks not renewed");
    });
  }

  #ensure(endpoint: HeldEndpoint, network: HeldNetwork, waitFor: boolean): Promise<void> {
    const { id, sandboxKey: key, links } = endpoint;
    const attached = this.#dns.attach({
      key,
      endpointId: id,
      network: network.name,
      internal: network.internal,
      links,
      waitFor,
    });
    const hook: Hook = {
      key,
      links: links.join(" "),
      done: attached.catch((error: unknown) => {
        if (this.#hooks.get(id) === hook) this.#hooks.delete(id);
        this.#log.warn({ endpoint: id, reason: messageOf(error) }, "no name hook in the sandbox");
      }),
    };
    this.#hooks.set(id, hook);
    return hook.done;
  }

  async #exists(key: string): Promise<boolean> {
    try {
      return await this.#sandboxes.exists(key);
    } catch (error) {
      this.#log.warn({ key, reason: messageOf(error) }, "cannot look for the sandbox");
      return false;
    }
  }
}
