/**
 * Records by name and by address, put in and taken out one at a time: a change costs what it
 * changes, whatever else is there.
 *
 * Law: after any changes it holds what one built anew from the same records would; the order of
 * instances, which nothing depends on, is left to chance.
 */
import { parseIpv4 } from "./ipv4.ts";
import type { Labels } from "./name.ts";
import type { NameRecord, RecordId, ServicePort } from "./record.ts";
import { type Spelling, spellingOf } from "./spelling.ts";

/** One address under a name. */
export interface Instance {
  readonly address: number;
  /** A name that only this instance has, if it has one; answers of its own. */
  readonly target: Labels;
  readonly ports: readonly ServicePort[];
  readonly isDoubtful: boolean;
}

/** What an address is called, on one network. */
export interface Pointer {
  readonly network: string;
  readonly target: Labels;
}

interface Entry {
  readonly record: NameRecord;
  readonly spelling: Spelling;
  readonly instance: Instance;
  readonly pointer: Pointer | undefined;
}

export class NameIndex {
  readonly #domainSuffix: string;
  /** BOUNDED: records given, themselves rows of the replicated tables. */
  readonly #entries = new Map<string, Entry>();
  /** BOUNDED: names of #entries; a network without names is taken out. */
  readonly #byNetwork = new Map<string, Map<string, Instance[]>>();
  /** BOUNDED: as #entries. */
  readonly #pointers = new Map<number, Pointer[]>();
  #names = 0;

  /** `domainSuffix`: the folded domain behind a dot. */
  constructor(domainSuffix: string) {
    this.#domainSuffix = domainSuffix;
  }

  /** Names, once for each address. */
  get names(): number {
    return this.#names;
  }

  /** Networks with names, EVERY_NETWORK among them. */
  networks(): Iterable<string> {
    return this.#byNetwork.keys();
  }

  /** Each record with the names of it that DNS can carry, folded. */
  *records(): Generator<{ readonly record: NameRecord; readonly names: readonly string[] }> {
    for (const { record, spelling } of this.#entries.values()) {
      yield { record, names: spelling.names };
    }
  }

  /** Instances of a folded name on one network. */
  at(network: string, name: string): readonly Instance[] | undefined {
    return this.#byNetwork.get(network)?.get(name);
  }

  /** What an address is called, on all networks. */
  pointers(address: number): readonly Pointer[] {
    return this.#pointers.get(address) ?? [];
  }

  /** Puts a record in, in place of the one with its id; what DNS cannot carry is left out. */
  put(record: NameRecord): void {
    this.drop(record);
    const address = parseIpv4(record.ip);
    if (address === undefined) return;
    const { network, ports = [], isDoubtful = false } = record;
    const spelling = spellingOf(record, this.#domainSuffix);
    const { names, target } = spelling;
    const instance: Instance = { address, target, ports, isDoubtful };
    const pointer = spelling.pointer && { network, target: spelling.pointer };
    this.#entries.set(keyOf(record), { record, spelling, instance, pointer });
    this.#names += names.length;
    const table = this.#byNetwork.get(network) ?? new Map<string, Instance[]>();
    for (const name of names) add(table, name, instance);
    if (table.size > 0) this.#byNetwork.set(network, table);
    if (pointer !== undefined) add(this.#pointers, address, pointer);
  }

  /** Takes the record with this id out, if there is one. */
  drop(id: RecordId): void {
    const key = keyOf(id);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const { record, spelling, instance, pointer } = entry;
    this.#entries.delete(key);
    this.#names -= spelling.names.length;
    const table = this.#byNetwork.get(record.network);
    for (const name of spelling.names) remove(table, name, instance);
    if (table?.size === 0) this.#byNetwork.delete(record.network);
    if (pointer !== undefined) remove(this.#pointers, instance.address, pointer);
  }
}

function keyOf({ peer, endpointId }: RecordId): string {
  return `${peer}/${endpointId}`;
}

function add<K, V>(table: Map<K, V[]>, key: K, value: V): void {
  const known = table.get(key);
  if (known === undefined) table.set(key, [value]);
  else known.push(value);
}

function remove<K, V>(table: Map<K, V[]> | undefined, key: K, value: V): void {
  const known = table?.get(key) ?? [];
  const at = known.indexOf(value);
  const last = known.pop();
  if (last !== undefined && at < known.length) known[at] = last;
  if (known.length === 0) table?.delete(key);
}
