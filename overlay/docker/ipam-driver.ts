/**
 * Docker's IPAM driver: pools and addresses for the engine, out of this host's own ranges.
 *
 * Laws: a pool is given only for a subnet that the user named: an engine that named none and
 * dislikes the answer asks for ever (measured: a thousand times a second); an address is released
 * however often Docker says so, but never under a container that the engine still lists.
 */
import {
  addressWithin,
  type Cidr,
  formatAddress,
  overlaps,
  parseAddress,
  parseCidr,
} from "../../ipalloc/index.ts";
import {
  asTsweaveError,
  type Clock,
  LIMITS,
  type Log,
  type Random,
  TIMES,
  TsweaveError,
} from "../../mesh/index.ts";
import type { HeldEndpoint, HeldNetwork, Ledger } from "../ledger.ts";
import type { Attachments } from "./attachments.ts";
import { within } from "./deadline.ts";
import { type Grants, grantKey, isGrantKey } from "./grants.ts";
import type { HeldPools } from "./held-pools.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import { DRIVER, type Networks } from "./networks.ts";
import { type Pool, parsePoolId, poolId, readPool } from "./pool-id.ts";
import type { AddressBook, DockerEngine } from "./ports.ts";
import {
  GATEWAY_TYPE,
  type ReleaseAddress,
  type RequestAddress,
  type RequestPool,
} from "./schema.ts";

export const LOCAL_SPACE = "tsweave-local";
export const GLOBAL_SPACE = "tsweave-global";

export interface IpamPorts {
  readonly ledger: Ledger;
  readonly networks: Networks;
  readonly attachments: Attachments;
  readonly grants: Grants;
  readonly pools: HeldPools;
  readonly queue: KeyedQueue;
  readonly engine: DockerEngine;
  readonly addresses: AddressBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class IpamDriver {
  readonly #ports: IpamPorts;

  constructor(ports: IpamPorts) {
    this.#ports = ports;
  }

  async requestPool(request: RequestPool): Promise<object> {
    const pool = readRequest(request);
    const { text, prefix } = pool.subnet;
    return await this.#ports.queue.run("pools", async () => {
      await this.#refuseHeld(pool.subnet);
      const { gateway } = await this.#ports.addresses.openPool(text);
      this.#ports.pools.given(text);
      const data = { [GATEWAY_TYPE]: `${gateway}/${prefix}` };
      return { PoolID: poolId(pool), Pool: text, Data: data };
    });
  }

  async releasePool(id: string): Promise<object> {
    const { subnet } = parsePoolId(id);
    const { pools, ledger, addresses } = this.#ports;
    pools.settled(subnet.text);
    // DeleteNetwork follows and closes the pool, unless another network has it, too.
    const isUsed = ledger.networks().some((network) => network.subnet === subnet.text);
    if (!isUsed) await addresses.closePool(subnet.text);
    return {};
  }

  async requestAddress(request: RequestAddress): Promise<object> {
    const pool = parsePoolId(request.poolId);
    const { addresses } = this.#ports;
    const { gateway } = await addresses.openPool(pool.subnet.text);
    const ip = request.address === "" ? "" : inside(pool.subnet, request.address);
    const given = await this.#give(pool, ip, request.type === GATEWAY_TYPE, gateway);
    return { Address: `${given}/${pool.subnet.prefix}`, Data: {} };
  }

  async releaseAddress(request: ReleaseAddress): Promise<object> {
    const { ledger, attachments, addresses, grants, log } = this.#ports;
    const { subnet } = parsePoolId(request.poolId);
    const ip = inside(subnet, request.address);
    const networks = ledger.networks().filter((network) => network.subnet === subnet.text);
    if (networks.some((network) => network.gateway === ip)) return {};
    for (const endpoint of networks.flatMap(({ id }) => ledger.endpointsOf(id))) {
      if (endpoint.ip !== ip) continue;
      if (endpoint.joined && (await this.#mayRun(endpoint))) {
        log.warn({ endpoint: endpoint.id, ip }, "not released: the engine may still run it");
        return {};
      }
      await attachments.remove({ networkId: endpoint.networkId, endpointId: endpoint.id });
    }
    grants.settled(subnet.text, ip);
    await addresses.release(subnet.text, ip);
    return {};
  }

  async #give(pool: Pool, ip: string, isGateway: boolean, gateway: string): Promise<string> {
    const { addresses, random, grants, pools } = this.#ports;
    const { text } = pool.subnet;
    if (isGateway) {
      if (ip === "" || ip === gateway) return gateway;
      return (await addresses.openPool(text, ip)).gateway;
    }
    if (ip !== "" && pools.has(text)) {
      // Before CreateNetwork only --aux-address asks for addresses; every host may name the same.
      await addresses.reserve(text, ip);
      return ip;
    }
    const key = grantKey(random.bytes(8));
    if (ip === "") {
      const given = await addresses.allocate(text, key, { within: pool.range?.text });
      grants.given(text, given);
      return given;
    }
    await this.#claim(text, key, ip);
    grants.given(text, ip);
    return ip;
  }

  /** Claims an address; one that only a lost release still holds on this host is freed first. */
  async #claim(subnet: string, key: string, ip: string): Promise<void> {
    const { addresses } = this.#ports;
    try {
      await addresses.claim(subnet, key, ip);
    } catch (error) {
      if (asTsweaveError(error).code !== "ADDRESS_TAKEN") throw error;
      if (!(await this.#freed(subnet, ip))) throw error;
      await addresses.claim(subnet, key, ip);
    }
  }

  async #freed(subnet: string, ip: string): Promise<boolean> {
    const { ledger, addresses, attachments, grants } = this.#ports;
    const lease = addresses.leases(subnet).find((held) => held.ip === ip);
    if (lease === undefined || !isGrantKey(lease.key)) return false;
    const networks = ledger.networks().filter((held) => held.subnet === subnet);
    const endpoints = networks.flatMap(({ id }) => ledger.endpointsOf(id));
    const holder = endpoints.find((held) => held.ip === ip);
    if (holder === undefined) {
      if (grants.ageMs(subnet, ip) < TIMES.engineInFlightMs) return false;
      await addresses.release(subnet, ip);
      return true;
    }
    return holder.joined && !(await this.#mayRun(holder)) && (await attachments.release(holder));
  }

  /** False only when the engine says that it does not have the endpoint. */
  async #mayRun(endpoint: HeldEndpoint): Promise<boolean> {
    const { engine, clock } = this.#ports;
    const asked = engine.network(endpoint.networkId, TIMES.engineAskMs);
    const answer = within(clock, "address holder", TIMES.engineAskMs, asked);
    return await answer.then(
      (told) => told?.endpoints.some((one) => one.endpointId === endpoint.id) ?? false,
      () => true,
    );
  }

  /**
   * Networks of one subnet share its pool; an engine asks again for ever only where no subnet was
   * given, which is refused; so a pool whose answer got lost is simply given again. @throws
   * TsweaveError POOL_CONFLICT when this engine holds another pool that shares an address.
   */
  async #refuseHeld(subnet: Cidr): Promise<void> {
    const { networks, pools } = this.#ports;
    for (const holder of networks.overlapping(subnet)) await this.#dropIfGone(holder, subnet);
    for (const { subnet: text, fresh } of pools.all()) {
      if (!overlaps(parseCidr(text), subnet)) continue;
      if (fresh && text === subnet.text) continue;
      if (fresh) throw conflict(subnet, `a network on ${text}`);
      if (!(await this.#usedByEngine(text))) await networks.close(text);
      else if (text !== subnet.text) throw conflict(subnet, `a network on ${text}`);
    }
    if (pools.count >= LIMITS.networksMax) {
      throw new TsweaveError("BAD_REQUEST", `more than ${LIMITS.networksMax} pools`);
    }
  }

  async #dropIfGone(holder: HeldNetwork, subnet: Cidr): Promise<void> {
    const { engine, clock, networks, ledger, attachments } = this.#ports;
    const name = `network ${holder.name === "" ? holder.id.slice(0, 12) : holder.name}`;
    const asked = engine.network(holder.id, TIMES.engineAskMs);
    const told = await within(clock, "pool holder", TIMES.engineAskMs, asked).catch(
      (cause: unknown) => {
        throw conflict(subnet, `${name}, and Docker cannot be asked`, cause);
      },
    );
    if (told !== undefined && holder.subnet === subnet.text) return;
    if (told !== undefined) throw conflict(subnet, name);
    for (const endpoint of ledger.endpointsOf(holder.id)) await attachments.release(endpoint);
    await networks.drop(holder.id);
  }

  async #usedByEngine(subnet: string): Promise<boolean> {
    const { engine, clock } = this.#ports;
    const asked = within(clock, "pool holder", TIMES.engineAskMs, engine.networks());
    const told = await asked.catch(() => undefined);
    if (told === undefined) return true;
    return told.some((one) => one.ipamDriver === DRIVER && one.subnets.includes(subnet));
  }
}

function readRequest(request: RequestPool): Pool {
  if (request.addressSpace !== LOCAL_SPACE && request.addressSpace !== GLOBAL_SPACE) {
    const space = request.addressSpace.slice(0, 40);
    throw new TsweaveError("BAD_REQUEST", `'${space}' is not an address space of tsweave`);
  }
  if (request.ipv6) {
    throw new TsweaveError("CONFIG", "tsweave networks carry IPv4 only", {
      hint: "create the network without --ipv6",
    });
  }
  for (const name of request.options.keys()) {
    if (name.startsWith("com.docker.")) continue;
    throw new TsweaveError("CONFIG", `unknown IPAM option '${name.slice(0, 80)}'`, {
      hint: "tsweave has none: leave --ipam-opt out",
    });
  }
  if (request.pool === "") {
    throw new TsweaveError("CONFIG", "a tsweave network needs its subnet", {
      hint:
        "create it with --subnet, the same on every host, such as --subnet 10.40.0.0/16; " +
        "in a compose file under ipam, config",
    });
  }
  return readPool(request.pool, request.subPool);
}

/** The one text of an address of the subnet. @throws TsweaveError BAD_REQUEST. */
function inside(subnet: Cidr, text: string): string {
  addressWithin(subnet, text);
  const { value, bits } = parseAddress(text);
  return formatAddress(value, bits);
}

function conflict(subnet: Cidr, holder: string, cause?: unknown): TsweaveError {
  return new TsweaveError("POOL_CONFLICT", `${subnet.text} is in use by ${holder}`, {
    hint: "see docker network ls and tsweave status networks",
    cause,
  });
}
