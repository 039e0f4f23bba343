/**
 * The names of this host's containers: no driver call carries them, the engine's API tells them.
 *
 * Law: Join never waits for an inspect of its own container, which answers only when the start is
 * over. During Join the network's list of containers has the name; the aliases come from an
 * inspect that nobody waits for. A rename has no driver call: it comes as an event.
 */
import {
  asTsweaveError,
  type Clock,
  type EngineContainer,
  LIMITS,
  type Log,
  messageOf,
  TIMES,
} from "../../mesh/index.ts";
import type { HeldEndpoint, Ledger } from "../ledger.ts";
import { type NamesRow, parsePort } from "../rows.ts";
import { within } from "./deadline.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import type { DockerEngine, Publisher } from "./ports.ts";
import type { SandboxHooks } from "./sandbox-hooks.ts";

export interface NamesPorts {
  readonly ledger: Ledger;
  readonly engine: DockerEngine;
  readonly publisher: Publisher;
  readonly hooks: SandboxHooks;
  readonly queue: KeyedQueue;
  /** To be called when the state directory did not take something. */
  readonly unwritten: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** A container as the network's list shows it. */
export interface ContainerRef {
  readonly name: string;
  /** What to inspect: its id where the engine tells it, else its name. */
  readonly ref: string;
}

export class ContainerNames {
  readonly #ports: NamesPorts;
  /** Containers being asked about. BOUNDED: rowsPerOriginMax; one more waits for a comparison. */
  readonly #asking = new Set<string>();

  constructor(ports: NamesPorts) {
    this.#ports = ports;
  }

  /** The container that joins, if the engine tells it quickly. Never rejects. */
  async joining(networkId: string, endpointId: string): Promise<ContainerRef | undefined> {
    const { engine, clock, log } = this.#ports;
    try {
      const asked = engine.network(networkId, TIMES.engineAskMs);
      const told = await within(clock, "container name", TIMES.engineAskMs, asked);
      const seen = told?.endpoints.find((endpoint) => endpoint.endpointId === endpointId);
      if (seen === undefined || seen.containerName === "") return undefined;
      return { name: seen.containerName, ref: containerRef(seen) };
    } catch (error) {
      log.info({ endpoint: endpointId, reason: messageOf(error) }, "name comes after the start");
      return undefined;
    }
  }

  /** Asks for all names in the background, also of a container whose start is not over. */
  learn(ref: string): void {
    if (this.#asking.has(ref) || this.#asking.size >= LIMITS.rowsPerOriginMax) return;
    this.#asking.add(ref);
    this.refresh(ref, TIMES.engineStartMs)
      .catch((error: unknown) => {
        const { code, message: reason } = asTsweaveError(error);
        this.#ports.log.warn({ container: ref, reason }, "a container's names are not known yet");
        if (code === "STATE_UNWRITABLE") this.#ports.unwritten();
      })
      .finally(() => this.#asking.delete(ref));
  }

  /** Asks for a container and takes over what it says of our endpoints. */
  async refresh(ref: string, deadlineMs: number): Promise<void> {
    const container = await this.#ports.engine.container(ref, deadlineMs);
    if (container !== undefined) await this.take(container);
  }

  /** Takes over a container's names, links and sandbox. */
  async take(container: EngineContainer): Promise<void> {
    for (const attachment of container.networks) {
      const { endpointId } = attachment;
      if (this.#ports.ledger.endpoint(endpointId) === undefined) continue;
      await this.#ports.queue.run(endpointId, () => this.#takeOne(container, endpointId));
    }
  }

  /** Whether a container, by id or former name, has an endpoint here. */
  concerns(containerId: string, formerName: string): boolean {
    const name = formerName.replace(/^\//, "").toLowerCase();
    return this.#ports.ledger.endpoints().some((endpoint) => {
      if (endpoint.containerId !== "") return endpoint.containerId === containerId;
      return endpoint.joined && (endpoint.names[0] ?? name) === name;
    });
  }

  async #takeOne(container: EngineContainer, endpointId: string): Promise<void> {
    const { ledger, publisher, hooks } = this.#ports;
    const held = ledger.endpoint(endpointId);
    const network = held && ledger.network(held.networkId);
    const attachment = container.networks.find((one) => one.endpointId === endpointId);
    if (!held?.joined || network === undefined || attachment === undefined) return;
    const now: HeldEndpoint = {
      ...held,
      containerId: container.id,
      sandboxKey: container.sandboxKey === "" ? held.sandboxKey : container.sandboxKey,
      names: namesOf(container, attachment.names),
      links: attachment.links.slice(0, LIMITS.linksPerEndpointMax),
      ports: (container.ports ?? [])
        .filter((port) => parsePort(port) !== undefined)
        .slice(0, LIMITS.portsPerEndpointMax),
      isUnhealthy: container.isUnhealthy ?? false,
    };
    if (JSON.stringify(now) !== JSON.stringify(held)) await ledger.putEndpoint(now);
    publisher.names(endpointId, namesRow(now, network));
    await hooks.ensure(now, network);
  }
}

/** What the mesh is told of an endpoint's names. */
export function namesRow(endpoint: HeldEndpoint, network: { readonly name: string }): NamesRow {
  return {
    network: network.name,
    ip: endpoint.ip,
    names: endpoint.names,
    ports: (endpoint.ports ?? []).flatMap((text) => parsePort(text) ?? []),
    isUnhealthy: endpoint.isUnhealthy ?? false,
  };
}

/** What to inspect for an entry of a network's list, whose key may be a placeholder. */
export function containerRef(seen: {
  readonly containerKey: string;
  readonly containerName: string;
}): string {
  return seen.containerKey.startsWith("ep-") ? seen.containerName : seen.containerKey;
}

/** Container name, aliases, short id and hostname, lower case, each once. */
function namesOf(container: EngineContainer, aliases: readonly string[]): string[] {
  return readNames([container.name, ...aliases, container.id.slice(0, 12), container.hostname]);
}

/** Those of `names` that a DNS query can spell, lower case, each once, bounded. */
export function readNames(names: readonly string[]): string[] {
  const spelled = names
    .map((name) => name.replace(/^\//, "").toLowerCase())
    .filter(
      (name) => name.length <= 253 && /^[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_-]{1,63})*$/.test(name),
    );
  return [...new Set(spelled)].slice(0, LIMITS.namesPerEndpointMax);
}
