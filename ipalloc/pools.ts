/**
 * Opening and closing pools on this host, and the addresses of a pool that are the user's own.
 *
 * Law: pools of a host never share an address, and a gateway that was chosen stays.
 */
import { TsweaveError } from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import type { Allocator } from "./allocator.ts";
import { addressWithin, type Cidr, parseCidr } from "./cidr.ts";
import type { Ledger } from "./ledger.ts";
import type { Pool } from "./pool.ts";
import type { Seeker } from "./seeker.ts";

export interface PoolsParts {
  readonly allocator: Allocator;
  readonly seeker: Seeker;
  readonly changed: () => void;
}

export class Pools {
  readonly #ledger: Ledger;
  readonly #parts: PoolsParts;

  constructor(ledger: Ledger, parts: PoolsParts) {
    this.#ledger = ledger;
    this.#parts = parts;
  }

  /** See IpAlloc.openPool. */
  async open(cidr: string, gateway?: string): Promise<{ cidr: string; gateway: string }> {
    const subnet = poolCidr(cidr);
    const chosen = gateway === undefined ? undefined : addressWithin(subnet, gateway);
    const pool = await this.#ledger.exclusive(async (commit) => {
      const other = this.#ledger.state.overlapping(subnet);
      if (other !== undefined) throw poolConflict(subnet, other);
      const known = this.#ledger.state.ensurePool(subnet);
      const address = gatewayOf(known, chosen);
      if (
        !known.open ||
        address !== known.gateway ||
        (chosen !== undefined && !known.gatewayGiven)
      ) {
        const given = chosen !== undefined;
        await commit({ kind: "open", cidr: subnet, gateway: address, given });
      }
      return known;
    });
    this.#parts.changed();
    return { cidr: subnet.text, gateway: formatAddress(pool.gateway, subnet.bits) };
  }

  /** See IpAlloc.closePool. */
  async close(cidr: string): Promise<void> {
    const subnet = parseCidr(cidr);
    await this.#ledger.exclusive(async (commit) => {
      const pool = this.#ledger.state.pool(subnet.text);
      if (!pool?.open) return;
      await commit({ kind: "close", cidr: subnet });
      this.#parts.seeker.forget(pool);
    });
    this.#parts.changed();
  }

  /** See IpAlloc.reserve. */
  async reserve(cidr: string, ip: string): Promise<void> {
    await this.#ledger.exclusive(async (commit) => {
      const pool = this.#parts.allocator.openPool(cidr);
      const address = addressWithin(pool.cidr, ip);
      if (pool.leases.at(address) !== undefined) {
        throw new TsweaveError("ADDRESS_TAKEN", `${ip} is in use on this host`);
      }
      if (pool.isReserved(address)) return;
      await commit({ kind: "reserve", cidr: pool.cidr, address, present: true });
    });
    this.#parts.changed();
  }
}

/** @throws TsweaveError CONFIG when there is no room for a gateway and two hosts. */
function poolCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr.bits - cidr.prefix >= 3) return cidr;
  throw new TsweaveError("CONFIG", `${text} is too small for a pool`, {
    hint: `use a prefix of at most /${cidr.bits - 3}`,
  });
}

function gatewayOf(pool: Pool, chosen: bigint | undefined): bigint {
  if (chosen === undefined || chosen === pool.gateway) return pool.gateway;
  const text = formatAddress(chosen, pool.cidr.bits);
  if (pool.open && pool.gatewayGiven) {
    const present = formatAddress(pool.gateway, pool.cidr.bits);
    throw new TsweaveError(
      "POOL_CONFLICT",
      `${pool.cidr.text} has gateway ${present}, not ${text}`,
    );
  }
  if (chosen === pool.cidr.start || chosen === pool.cidr.end - 1n) {
    throw new TsweaveError("CONFIG", `${text} cannot be a gateway: it is the network or broadcast`);
  }
  if (pool.leases.at(chosen) !== undefined) {
    throw new TsweaveError("ADDRESS_TAKEN", `the gateway ${text} is in use by a container`);
  }
  return chosen;
}

function poolConflict(subnet: Cidr, other: Pool): TsweaveError {
  return new TsweaveError("POOL_CONFLICT", `${subnet.text} overlaps the pool ${other.cidr.text}`, {
    hint: "choose a subnet beside it",
  });
}
