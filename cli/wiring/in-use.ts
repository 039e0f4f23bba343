/**
 * Which addresses endpoint rows name, per pool: what ipalloc must never give out, whoever owns it.
 *
 * Law: a row counts as long as it is there, also a dead peer's and one that presence leaves out:
 * its container may run. Every allocation asks, so the answer is kept up to date, not searched.
 */
import { type AddressesInUse, type Cidr, parseAddress, parseCidr } from "../../ipalloc/index.ts";
import type { PeerId, TypedRow, TypedTable } from "../../mesh/index.ts";
import type { EndpointRow } from "../../overlay/index.ts";

/** The addresses of one pool. */
class Used {
  readonly #cidr: Cidr;
  /** BOUNDED: rows of the endpoint table. One peer a row: two may name one address. */
  readonly #peers = new Map<bigint, PeerId[]>();
  /** BOUNDED: as #peers. The peer of one of the rows of each address. */
  readonly first = new Map<bigint, PeerId>();

  constructor(cidr: Cidr) {
    this.#cidr = cidr;
  }

  add({ origin, row }: TypedRow<EndpointRow>): void {
    const { value } = parseAddress(row.ip);
    if (value < this.#cidr.start || value >= this.#cidr.end) return;
    this.#set(value, [...(this.#peers.get(value) ?? []), origin]);
  }

  drop({ origin, row }: TypedRow<EndpointRow>): void {
    const { value } = parseAddress(row.ip);
    const peers = this.#peers.get(value) ?? [];
    const at = peers.indexOf(origin);
    if (at >= 0) this.#set(value, peers.toSpliced(at, 1));
  }

  #set(value: bigint, peers: PeerId[]): void {
    const [first] = peers;
    if (first === undefined) {
      this.#peers.delete(value);
      this.first.delete(value);
      return;
    }
    this.#peers.set(value, peers);
    this.first.set(value, first);
  }
}

/** Follows the endpoint table from now on. */
export function addressesInUse(endpoints: TypedTable<EndpointRow>): AddressesInUse {
  /** BOUNDED: LIMITS.networksMax, the pools that this host asks about. */
  const pools = new Map<string, Used>();
  endpoints.onChange((changes) => {
    for (const { before, after } of changes) {
      for (const used of pools.values()) {
        if (before !== undefined) used.drop(before);
        if (after !== undefined) used.add(after);
      }
    }
  });
  return (cidr) => {
    const known = pools.get(cidr) ?? new Used(parseCidr(cidr));
    if (!pools.has(cidr)) {
      for (const typed of endpoints.rows()) known.add(typed);
      pools.set(cidr, known);
    }
    return known.first;
  };
}
