/**
 * The names of all endpoints and outside services as one asker may see them.
 *
 * Law: an asker sees the networks it is on and nothing else; a name that lives on several hosts
 * answers with all of them, the doubtful ones only where there are no others.
 */
import { contains, parseSubnet, type Subnet } from "./ipv4.ts";
import { foldCase, type Labels, labelsOf } from "./name.ts";
import { type Instance, NameIndex } from "./name-index.ts";
import { EVERY_NETWORK, type NameRecord, type NetworkSubnet, type RecordId } from "./record.ts";

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

/** A view of records that follows their changes; what DNS cannot carry is left out of it. */
export class Zone {
  readonly #index: NameIndex;
  readonly #domainSuffix: string;
  #apex: Apex;
  #subnets: readonly Subnet[] = [];
  /** BOUNDED: LIMITS.networksMax, as the subnets given. */
  #subnetNetworks: readonly string[] = [];
  /** Worked out when asked for after a change. */
  #networks: ReadonlySet<string> | undefined;

  constructor(records: readonly NameRecord[], subnets: readonly NetworkSubnet[], domain: string) {
    const folded = foldCase(domain).replace(/^\.+|\.+$/g, "");
    this.#domainSuffix = `.${folded}`;
    this.#index = new NameIndex(this.#domainSuffix);
    this.#apex = {
      domain: folded,
      server: labelsOf(`ns.${folded}`) ?? [],
      mailbox: labelsOf(`hostmaster.${folded}`) ?? [],
      serial: 1,
    };
    this.#setSubnets(subnets);
    for (const record of records) this.#index.put(record);
  }

  get apex(): Apex {
    return this.#apex;
  }

  /** Networks that have names or a subnet here, as they are written, in an order of their own. */
  get networks(): ReadonlySet<string> {
    if (this.#networks === undefined) {
      const named = new Set([...this.#index.networks(), ...this.#subnetNetworks]);
      named.delete(EVERY_NETWORK);
      this.#networks = new Set([...named].sort());
    }
    return this.#networks;
  }

  /** Names that resolve, once for each address. */
  get names(): number {
    return this.#index.names;
  }

  /** Each record with the names of it that DNS can carry, folded. */
  records(): Iterable<{ readonly record: NameRecord; readonly names: readonly string[] }> {
    return this.#index.records();
  }

  /** Takes records out and puts others in, in place of those with their ids. */
  change(gone: readonly RecordId[], come: readonly NameRecord[]): void {
    for (const id of gone) this.#index.drop(id);
    for (const record of come) this.#index.put(record);
    this.#changed();
  }

  /** Replaces the subnets whose reverse names are ours. */
  setSubnets(subnets: readonly NetworkSubnet[]): void {
    this.#setSubnets(subnets);
    this.#changed();
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
    const all = this.#index.pointers(address);
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
    let found: readonly Instance[] = this.#index.at(EVERY_NETWORK, name) ?? [];
    for (const network of networks) {
      const here = this.#index.at(network, name);
      if (here !== undefined) found = found.length === 0 ? here : [...found, ...here];
    }
    return found;
  }

  #setSubnets(subnets: readonly NetworkSubnet[]): void {
    this.#subnets = subnets.flatMap(({ cidr }) => parseSubnet(cidr) ?? []);
    this.#subnetNetworks = subnets.map(({ network }) => network);
  }

  #changed(): void {
    this.#networks = undefined;
    this.#apex = { ...this.#apex, serial: this.#apex.serial + 1 };
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
