/**
 * The names of all endpoints as one asker may see them.
 *
 * Law: an asker sees the networks it is on and nothing else; a name that lives on several hosts
 * answers with all of them.
 */
import { contains, parseIpv4, parseSubnet, type Subnet } from "./ipv4.ts";
import { foldCase, type Labels, labelsOf } from "./name.ts";
import type { NameRecord, NetworkSubnet } from "./record.ts";

/** An immutable view built from records; what DNS cannot carry is left out of it. */
export class Zone {
  /** BOUNDED: names of the records given, themselves rows of the replicated tables. */
  readonly #byNetwork = new Map<string, Map<string, Set<number>>>();
  /** BOUNDED: as #byNetwork. */
  readonly #pointers = new Map<number, { readonly network: string; readonly target: Labels }[]>();
  readonly #subnets: readonly Subnet[];
  readonly #domainSuffix: string;

  constructor(records: readonly NameRecord[], subnets: readonly NetworkSubnet[], domain: string) {
    this.#subnets = subnets.flatMap(({ cidr }) => parseSubnet(cidr) ?? []);
    this.#domainSuffix = `.${foldCase(domain).replace(/^\.+|\.+$/g, "")}`;
    for (const record of records) {
      const address = parseIpv4(record.ip);
      if (address !== undefined) this.#add(record, address);
    }
  }

  /**
   * Addresses of a folded name for an asker on `networks`: the name itself, `name.network` or
   * `name.domain`, the first that exists. Undefined when the name is none of ours.
   */
  addresses(key: string, networks: ReadonlySet<string>): readonly number[] | undefined {
    const own = this.#union(key, networks);
    if (own !== undefined) return own;
    for (const network of networks) {
      const name = withoutSuffix(key, `.${foldCase(network)}`);
      const found = name === undefined ? undefined : this.#byNetwork.get(network)?.get(name);
      if (found !== undefined) return [...found];
    }
    const name = withoutSuffix(key, this.#domainSuffix);
    return name === undefined ? undefined : this.#union(name, networks);
  }

  /** `name.network` of every endpoint with this address that an asker on `networks` sees. */
  pointers(address: number, networks: ReadonlySet<string>): readonly Labels[] {
    const all = this.#pointers.get(address) ?? [];
    return all.filter(({ network }) => networks.has(network)).map(({ target }) => target);
  }

  /** Whether an address belongs to one of the overlay's subnets, seen or not. */
  covers(address: number): boolean {
    return this.#subnets.some((subnet) => contains(subnet, address));
  }

  #union(name: string, networks: ReadonlySet<string>): readonly number[] | undefined {
    const found = new Set<number>();
    for (const network of networks) {
      for (const address of this.#byNetwork.get(network)?.get(name) ?? []) found.add(address);
    }
    return found.size === 0 ? undefined : [...found];
  }

  #add(record: NameRecord, address: number): void {
    const names = this.#byNetwork.get(record.network) ?? new Map<string, Set<number>>();
    this.#byNetwork.set(record.network, names);
    let primary: string | undefined;
    for (const name of record.names.map(foldCase)) {
      if (labelsOf(name) === undefined) continue;
      primary ??= name;
      const addresses = names.get(name) ?? new Set();
      names.set(name, addresses.add(address));
    }
    const target = primary === undefined ? undefined : labelsOf(`${primary}.${record.network}`);
    if (target === undefined) return;
    const known = this.#pointers.get(address) ?? [];
    this.#pointers.set(address, [...known, { network: record.network, target }]);
  }
}

function withoutSuffix(key: string, suffix: string): string | undefined {
  return key.endsWith(suffix) ? key.slice(0, -suffix.length) : undefined;
}
