/**
 * The names of all endpoints and outside services as one asker may see them.
 *
 * Law: an asker sees the networks it is on and nothing else; a name that lives on several hosts
 * answers with all of them, the doubtful ones only where there are no others.
 */
import { contains, parseIpv4, parseSubnet, type Subnet } from "./ipv4.ts";
import { foldCase, type Labels, labelsOf } from "./name.ts";
import { EVERY_NETWORK, type NameRecord, type NetworkSubnet, type ServicePort } from "./record.ts";
import { spellingOf } from "./spelling.ts";

/** One address under a name. */
export interface Instance {
  readonly address: number;
  /** A name that only this instance has, if it has one; answers of its own. */
  readonly target: Labels;
  readonly ports: readonly ServicePort[];
  readonly isDoubtful: boolean;
}

/** What a name stands for, and the apex of the zone that says so. */
export interface Found {
  /** Not empty. An address may occur twice. */
  readonly instances: readonly Instance[];
  /** How many labels of the name are below the apex: `web.tsweave` has one, `web` none. */
  readonly depth: number;
}

/** Labels of the names below which the zone's own data stand, ready for the wire. */
export interface Apex {
  readonly domain: string;
  readonly server: Labels;
  readonly mailbox: Labels;
  /** Rises with each change. */
  readonly serial: number;
}

/** An immutable view built from records; what DNS cannot carry is left out of it. */
export class Zone {
  readonly apex: Apex;
  /** Networks that have names here, as they are written. */
  readonly networks: ReadonlySet<string>;
  /** BOUNDED: names of the records given, themselves rows of the replicated tables. */
  readonly #byNetwork = new Map<string, Map<string, Instance[]>>();
  /** BOUNDED: as #byNetwork. */
  readonly #pointers = new Map<number, { readonly network: string; readonly target: Labels }[]>();
  readonly #subnets: readonly Subnet[];
  readonly #domainSuffix: string;

  constructor(
    records: readonly NameRecord[],
    subnets: readonly NetworkSubnet[],
    domain: string,
    serial = 1,
  ) {
    const folded = foldCase(domain).replace(/^\.+|\.+$/g, "");
    this.#subnets = subnets.flatMap(({ cidr }) => parseSubnet(cidr) ?? []);
    this.#domainSuffix = `.${folded}`;
    this.apex = {
      domain: folded,
      server: labelsOf(`ns.${folded}`) ?? [],
      mailbox: labelsOf(`hostmaster.${folded}`) ?? [],
      serial,
    };
    for (const record of records) {
      const address = parseIpv4(record.ip);
      if (address !== undefined) this.#add(record, address);
    }
    const named = [...this.#byNetwork.keys(), ...subnets.map(({ network }) => network)];
    this.networks = new Set(named.filter((network) => network !== EVERY_NETWORK));
  }

  /**
   * What a folded name stands for to an asker on `networks`: the name itself, `name.network` or
   * `name.domain`, the first that exists. Undefined when the name is none of ours.
   */
  find(key: string, networks: ReadonlySet<string>): Found | undefined {
    const own = this.#gather(key, networks);
    if (own.length > 0) return { instances: preferred(own), depth: 0 };
    for (const network of networks) {
      const name = withoutSuffix(key, `.${foldCase(network)}`);
      const found = name === undefined ? [] : this.#gather(name, [network]);
      if (name !== undefined && found.length > 0) return below(name, found);
    }
    const name = withoutSuffix(key, this.#domainSuffix);
    const found = name === undefined ? [] : this.#gather(name, networks);
    return name === undefined || found.length === 0 ? undefined : below(name, found);
  }

  /** The names of an address that an asker on `networks` sees, `name.network` of an endpoint. */
  pointers(address: number, networks: ReadonlySet<string>): readonly Labels[] {
    const all = this.#pointers.get(address) ?? [];
    const isSeen = (network: string) => network === EVERY_NETWORK || networks.has(network);
    return all.filter(({ network }) => isSeen(network)).map(({ target }) => target);
  }

  /** Whether an address belongs to one of the overlay's subnets, seen or not. */
  covers(address: number): boolean {
    return this.#subnets.some((subnet) => contains(subnet, address));
  }

  /** Whether a folded name is the domain or below it. */
  isInDomain(key: string): boolean {
    return key === this.apex.domain || key.endsWith(this.#domainSuffix);
  }

  #gather(name: string, networks: Iterable<string>): readonly Instance[] {
    let found: readonly Instance[] = this.#byNetwork.get(EVERY_NETWORK)?.get(name) ?? [];
    for (const network of networks) {
      const here = this.#byNetwork.get(network)?.get(name);
      if (here !== undefined) found = found.length === 0 ? here : [...found, ...here];
    }
    return found;
  }

  #add(record: NameRecord, address: number): void {
    const { network, ports = [], isDoubtful = false } = record;
    const { names, pointer, target } = spellingOf(record, this.#domainSuffix);
    const instance: Instance = { address, target, ports, isDoubtful };
    const table = this.#byNetwork.get(network) ?? new Map<string, Instance[]>();
    this.#byNetwork.set(network, table);
    for (const name of names) {
      const known = table.get(name);
      if (known === undefined) table.set(name, [instance]);
      else known.push(instance);
    }
    if (pointer === undefined) return;
    const known = this.#pointers.get(address);
    if (known === undefined) this.#pointers.set(address, [{ network, target: pointer }]);
    else known.push({ network, target: pointer });
  }
}

function below(name: string, found: readonly Instance[]): Found {
  return { instances: preferred(found), depth: name.split(".").length };
}

function preferred(all: readonly Instance[]): readonly Instance[] {
  if (!all.some(({ isDoubtful }) => isDoubtful)) return all;
  const good = all.filter(({ isDoubtful }) => !isDoubtful);
  return good.length > 0 ? good : all;
}

function withoutSuffix(key: string, suffix: string): string | undefined {
  return key.endsWith(suffix) ? key.slice(0, -suffix.length) : undefined;
}
