/**
 * Endpoint rows by IP and by MAC, kept up with the table: the rows near a change, and addresses
 * that several have, are found without looking through ten thousand others.
 *
 * Law: it holds the table's own rows, all of them and of every origin; whose count is decided by
 * who asks, when they ask.
 */
import type { TypedRow, TypedTable } from "../../mesh/index.ts";
import type { EndpointRow } from "../../overlay/index.ts";

export class EndpointIndex {
  /** BOUNDED: an IP and a MAC for each row of the endpoint table. About 200 bytes a row. */
  readonly #byAddress = new Map<string, TypedRow<EndpointRow>[]>();
  /** BOUNDED: as #byAddress; addresses with more than one row. */
  readonly #shared = new Set<string>();

  /** Follows the table from now on. */
  constructor(endpoints: TypedTable<EndpointRow>) {
    for (const typed of endpoints.rows()) this.#add(typed);
    endpoints.onChange((changes) => {
      for (const { before, after } of changes) {
        if (before !== undefined) this.#drop(before);
        if (after !== undefined) this.#add(after);
      }
    });
  }

  /** Rows with one of these IPs or MACs, whatever their networks; one may come twice. */
  near(addresses: Iterable<string>): TypedRow<EndpointRow>[] {
    const found: TypedRow<EndpointRow>[] = [];
    for (const address of addresses) {
      for (const typed of this.#byAddress.get(address) ?? []) found.push(typed);
    }
    return found;
  }

  /** Rows whose IP or MAC another row has, too, perhaps on another network. */
  shared(): TypedRow<EndpointRow>[] {
    return this.near(this.#shared);
  }

  #add(typed: TypedRow<EndpointRow>): void {
    for (const address of [typed.row.ip, typed.row.mac]) {
      const known = this.#byAddress.get(address);
      if (known === undefined) this.#byAddress.set(address, [typed]);
      else if (known.push(typed) > 1) this.#shared.add(address);
    }
  }

  #drop(typed: TypedRow<EndpointRow>): void {
    for (const address of [typed.row.ip, typed.row.mac]) {
      const rest = (this.#byAddress.get(address) ?? []).filter((other) => other !== typed);
      if (rest.length > 1) this.#byAddress.set(address, rest);
      else {
        this.#shared.delete(address);
        if (rest.length === 0) this.#byAddress.delete(address);
        else this.#byAddress.set(address, rest);
      }
    }
  }
}
