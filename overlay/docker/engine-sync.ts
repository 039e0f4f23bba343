/**
 * Compares what this host holds with what the engine lists, and makes up for calls that got lost:
 * with the plugin down, Leave, DeleteEndpoint and ReleaseAddress are dropped for ever.
 *
 * Laws: nothing is removed while the engine cannot be asked; what a call touched meanwhile is left
 * alone; absence counts when two comparisons some seconds apart agree, or at once for what an
 * earlier life of the daemon left in the ledger, and for what a call has ended that could not be
 * written down.
 */
import { asTsweaveError, type Clock, LIMITS, type Log, TIMES } from "../../mesh/index.ts";
import type { HeldEndpoint, HeldNetwork, Ledger } from "../ledger.ts";
import type { Attachments } from "./attachments.ts";
import { type Grants, isGrantKey } from "./grants.ts";
import type { HeldPools } from "./held-pools.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import { type ContainerNames, containerRef } from "./names.ts";
import { DRIVER, type Networks } from "./networks.ts";
import type { AddressBook, DockerEngine, DockerNetwork } from "./ports.ts";

export interface EngineSyncPorts {
  readonly ledger: Ledger;
  readonly networks: Networks;
  readonly attachments: Attachments;
  readonly names: ContainerNames;
  readonly grants: Grants;
  readonly pools: HeldPools;
  readonly queue: KeyedQueue;
  readonly engine: DockerEngine;
  readonly addresses: AddressBook;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SyncResult {
  /** Something is missing in the engine's list that was not long enough yet: compare again. */
  readonly again: boolean;
  /** The state directory did not take something: compare again soon. */
  readonly unwritten: boolean;
  readonly released: number;
  readonly adopted: number;
}

type ListedEndpoint = DockerNetwork["endpoints"][number];

export class EngineSync {
  readonly #ports: EngineSyncPorts;
  /** What the ledger held before this life; emptied by the first comparison. */
  #inherited: ReadonlySet<object>;
  /** Id → when it was first missing. BOUNDED: networks and endpoints of the ledger. */
  #missingMs = new Map<string, number>();
  #unwritten = false;

  constructor(ports: EngineSyncPorts) {
    this.#ports = ports;
    this.#inherited = new Set<object>([...ports.ledger.networks(), ...ports.ledger.endpoints()]);
  }

  /** Re-reads what counts as inherited; to be called once the ledger is restored. */
  inherit(): void {
    const { ledger } = this.#ports;
    this.#inherited = new Set<object>([...ledger.networks(), ...ledger.endpoints()]);
  }

  /**
   * One comparison. Rejects with DOCKER_UNREACHABLE or DOCKER_REFUSED, having removed nothing,
   * when the engine cannot be asked.
   */
  async pass(): Promise<SyncResult> {
    const { engine, ledger } = this.#ports;
    const networksBefore = ledger.networks();
    const endpointsBefore = ledger.endpoints();
    const all = await engine.networks();
    const listed = await this.#listed(all);
    const missing = new Map<string, number>();
    const counts = { released: 0, adopted: 0 };
    this.#unwritten = false;
    for (const endpoint of endpointsBefore) {
      const told = listed.get(endpoint.networkId);
      if (told?.endpoints.some((one) => one.endpointId === endpoint.id)) continue;
      if (this.#isGone(endpoint, missing) && (await this.#release(endpoint))) counts.released += 1;
    }
    for (const held of networksBefore) {
      if (!listed.has(held.id) && this.#isGone(held, missing)) await this.#dropNetwork(held);
    }
    for (const told of listed.values()) counts.adopted += await this.#takeOver(told);
    for (const told of listed.values()) await this.#releaseOrphans(told, [...listed.values()]);
    await this.#closeUnused(all);
    this.#missingMs = missing;
    this.#inherited = new Set();
    return { again: missing.size > 0, unwritten: this.#unwritten, ...counts };
  }

  /** Our networks with their endpoints. One that vanishes between the calls counts as gone. */
  async #listed(all: readonly DockerNetwork[]): Promise<Map<string, DockerNetwork>> {
    const ours = all.filter((one) => one.driver === DRIVER && one.ipamDriver === DRIVER);
    const listed = new Map<string, DockerNetwork>();
    for (const { id } of ours.slice(0, LIMITS.networksMax)) {
      const told = await this.#ports.engine.network(id);
      if (told !== undefined) listed.set(id, told);
    }
    return listed;
  }

  /** Whether a record that the engine does not list is to be released now. */
  #isGone(record: HeldEndpoint | HeldNetwork, missing: Map<string, number>): boolean {
    const { attachments, networks, clock } = this.#ports;
    const isEndpoint = "joined" in record;
    if (isEndpoint ? attachments.hasEnded(record.id) : networks.hasEnded(record.id)) return true;
    // Between CreateEndpoint and Join the engine does not list an endpoint, and it has no names.
    const unlisted = isEndpoint && !record.joined && record.names.length === 0;
    if (this.#inherited.has(record) && !unlisted) return true;
    const nowMs = clock.nowMs();
    const sinceMs = this.#missingMs.get(record.id) ?? nowMs;
    const graceMs = unlisted ? TIMES.orphanLeaseMs : TIMES.engineAbsentMs;
    if (nowMs - sinceMs >= graceMs) return true;
    missing.set(record.id, sinceMs);
    return false;
  }

  async #release(endpoint: HeldEndpoint): Promise<boolean> {
    try {
      const done = await this.#ports.attachments.release(endpoint);
      if (done) this.#ports.log.info({ endpoint: endpoint.id }, "the engine has it no more");
      return done;
    } catch (error) {
      this.#later({ endpoint: endpoint.id }, error, "an endpoint that is gone is not released yet");
      return false;
    }
  }

  async #dropNetwork(seen: HeldNetwork): Promise<void> {
    const { ledger, networks, log } = this.#ports;
    if (ledger.network(seen.id) !== seen || ledger.endpointsOf(seen.id).length > 0) return;
    log.info({ network: seen.name, id: seen.id }, "the engine has this network no more");
    await networks.drop(seen.id).catch((error: unknown) => {
      this.#later({ id: seen.id }, error, "a network is not removed completely");
    });
  }

  /**
   * Follows one listed network: endpoints that only the engine knows, names and hooks of all,
   * addresses of none. Resolves with how many endpoints were taken over.
   */
  async #takeOver(told: DockerNetwork): Promise<number> {
    const { networks, addresses } = this.#ports;
    try {
      const held = await networks.learn(told);
      if (held === undefined) return 0;
      const waiting = [...told.endpoints];
      const leases = new Map(addresses.leases(held.subnet).map((lease) => [lease.ip, lease]));
      let adopted = 0;
      const work = async () => {
        for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
          const isOwned = leases.get(one.ip)?.owned === true;
          if (await this.#follow(held, one, isOwned)) adopted += 1;
        }
      };
      await Promise.all(Array.from({ length: LIMITS.engineCallsAtOnceMax }, work));
      return adopted;
    } catch (error) {
      this.#later({ network: told.name }, error, "a network is not followed yet");
      return 0;
    }
  }

  /** Resolves with whether the endpoint was taken over. Never rejects. */
  async #follow(network: HeldNetwork, seen: ListedEndpoint, isOwned: boolean): Promise<boolean> {
    const { ledger, names, attachments } = this.#ports;
    const known = ledger.endpoint(seen.endpointId) !== undefined;
    try {
      if (!known) await this.#adopt(network, seen);
      const held = ledger.endpoint(seen.endpointId);
      if (held?.joined !== true) return false;
      if (known && !isOwned) await attachments.lease(held, network);
      const renamed = seen.containerName.toLowerCase() !== held.names[0];
      if (held.containerId === "" || renamed || this.#inherited.has(held)) {
        await names.refresh(containerRef(seen), TIMES.engineCallMs);
      }
      await attachments.follow(held.id, network);
      return !known;
    } catch (error) {
      const fields = { endpoint: seen.endpointId };
      this.#later(fields, error, "an endpoint of the engine is not followed yet");
      return false;
    }
  }

  /** A container that is being started is left to its own Join. */
  async #adopt(network: HeldNetwork, seen: ListedEndpoint): Promise<void> {
    const { queue, engine, attachments } = this.#ports;
    if (seen.containerKey.startsWith("ep-") || queue.busy(seen.endpointId)) return;
    const container = await engine.container(seen.containerKey, TIMES.engineAskMs);
    const still = container?.networks.some((one) => one.endpointId === seen.endpointId);
    if (!container?.running || still !== true) return;
    await attachments.adopt({
      networkId: network.id,
      endpointId: seen.endpointId,
      ip: seen.ip,
      mac: seen.mac,
      sandboxKey: container.sandboxKey,
      containerId: container.id,
    });
  }

  /** Pools that the engine was given long ago and has no network of. */
  async #closeUnused(all: readonly DockerNetwork[]): Promise<void> {
    const { pools, networks, log } = this.#ports;
    for (const { subnet, fresh } of pools.all()) {
      if (fresh) continue;
      if (all.some(({ driver, subnets }) => driver === DRIVER && subnets.includes(subnet))) {
        pools.settled(subnet);
        continue;
      }
      log.info({ subnet }, "closed a pool that no network uses");
      await networks.close(subnet);
    }
  }

  /**
   * Addresses that were given and never came back, or whose release got lost. Networks of one
   * subnet share its addresses, so all of them are asked. Never rejects.
   */
  async #releaseOrphans({ id }: DockerNetwork, listed: readonly DockerNetwork[]): Promise<void> {
    const { ledger, addresses, grants, log } = this.#ports;
    const subnet = ledger.network(id)?.subnet;
    if (subnet === undefined) return;
    const sharing = ledger.networks().filter((other) => other.subnet === subnet);
    const seen = listed.filter((told) => sharing.some((held) => held.id === told.id));
    const used = new Set([
      ...sharing.flatMap((held) => ledger.endpointsOf(held.id)).map(({ ip }) => ip),
      ...seen.flatMap(({ endpoints }) => endpoints).map(({ ip }) => ip),
    ]);
    try {
      for (const { ip, key } of addresses.leases(subnet)) {
        if (used.has(ip) || !isGrantKey(key)) continue;
        if (grants.ageMs(subnet, ip) < TIMES.orphanLeaseMs) continue;
        log.info({ ip, subnet }, "took back an address that no container uses");
        grants.settled(subnet, ip);
        await addresses.release(subnet, ip);
      }
    } catch (error) {
      this.#later({ subnet }, error, "an unused address is not taken back yet");
    }
  }

  /**
   * What fails is left to the next comparison, which comes soon where only the disk was full; that
   * is told once a comparison.
   */
  #later(fields: Readonly<Record<string, string>>, error: unknown, text: string): void {
    const { code, message: reason } = asTsweaveError(error);
    const isFull = code === "STATE_UNWRITABLE";
    this.#ports.log[isFull && this.#unwritten ? "debug" : "warn"]({ ...fields, reason }, text);
    this.#unwritten ||= isFull;
  }
}
