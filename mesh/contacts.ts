/**
 * Addresses worth trying that nobody named at this launch: those given to a running daemon, and
 * those where other peers last answered.
 *
 * Law: a host that boots finds its mesh as long as one peer that it ever met is up, whichever hosts
 * it was launched with. What a person forgets is not tried again until someone names it.
 */
import { messageOf } from "./errors.ts";
import { addressKey } from "./host-port.ts";
import { LIMITS, TIMES } from "./limits.ts";
import type { MemberEvent } from "./membership/membership.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Store, WireValue } from "./ports.ts";
import { decodeWire, encodeWire } from "./wire/msgpack.ts";
import { readArray, readInteger, readString } from "./wire/read.ts";

const STORE_KEY = "contacts";
/** A mesh that forms is written once, not once a peer. */
const SAVE_DELAY_MS = 1000;

export class Contacts {
  readonly #ports: { readonly store: Store; readonly clock: Clock; readonly log: Log };
  /** BOUNDED: LIMITS.declaredMax, given by a person. */
  readonly #named = new Map<string, HostPort>();
  /** BOUNDED: LIMITS.contactsMax, the one met longest ago first. */
  readonly #met = new Map<PeerId, HostPort>();
  #cancelSave: Cancel | undefined;
  #closed = false;
  #saving: Promise<void> = Promise.resolve();

  private constructor(ports: { store: Store; clock: Clock; log: Log }) {
    this.#ports = ports;
  }

  /** What a former life knew; a damaged file is logged and begun anew, peers tell it all. */
  static async open(ports: { store: Store; clock: Clock; log: Log }): Promise<Contacts> {
    const contacts = new Contacts(ports);
    try {
      const bytes = await ports.store.load(STORE_KEY);
      if (bytes !== undefined) contacts.#read(decodeWire(bytes));
    } catch (error) {
      ports.log.warn({ error: messageOf(error) }, "the known addresses of peers do not read");
    }
    return contacts;
  }

  /** All addresses, each once: those that a person named first. */
  targets(): HostPort[] {
    const all = [...this.#named.values(), ...this.#met.values()];
    return [...new Map(all.map((address) => [addressKey(address), address])).values()];
  }

  /** Keeps addresses that a person named while the daemon runs. Resolves once they are on disk. */
  async add(addresses: readonly HostPort[]): Promise<void> {
    for (const address of addresses) {
      if (this.#named.size < LIMITS.declaredMax) this.#named.set(addressKey(address), address);
    }
    await this.#save();
  }

  /** Drops addresses, whoever named them. Resolves once that is on disk. */
  async forget(addresses: readonly HostPort[]): Promise<void> {
    const gone = new Set(addresses.map(addressKey));
    for (const key of gone) this.#named.delete(key);
    for (const [peer, address] of this.#met) {
      if (gone.has(addressKey(address))) this.#met.delete(peer);
    }
    await this.#save();
  }

  /** To be called with each membership event. */
  membershipChanged({ type, member }: MemberEvent): void {
    if (member.self || type === "suspect" || type === "dead") return;
    const { id, advertise } = member;
    const known = this.#met.get(id);
    if (type === "left") {
      if (!this.#met.delete(id)) return;
    } else {
      if (known !== undefined && addressKey(known) === addressKey(advertise)) return;
      this.#met.delete(id);
      this.#met.set(id, advertise);
      this.#prune();
    }
    this.#saveIn(SAVE_DELAY_MS);
  }

  /** Saves what is still to be saved. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#cancelSave === undefined) return await this.#saving;
    this.#cancelSave();
    this.#cancelSave = undefined;
    await this.#save();
  }

  #saveIn(delayMs: number): void {
    if (this.#closed) return;
    this.#cancelSave ??= this.#ports.clock.timer("contacts", delayMs, () => {
      this.#cancelSave = undefined;
      this.#save().catch((error: unknown) => {
        this.#ports.log.warn({ error: messageOf(error) }, "addresses of peers are not saved yet");
        this.#saveIn(TIMES.storeRetryMs);
      });
    });
  }

  #prune(): void {
    for (const peer of this.#met.keys()) {
      if (this.#met.size <= LIMITS.contactsMax) return;
      this.#met.delete(peer);
    }
  }

  async #save(): Promise<void> {
    const write = async (): Promise<void> => {
      const named = [...this.#named.values()].map(addressToWire);
      const met = [...this.#met].map(([peer, address]) => [peer, addressToWire(address)]);
      await this.#ports.store.save(STORE_KEY, encodeWire([named, met]));
    };
    const run = this.#saving.then(write, write);
    this.#saving = run.catch(() => undefined);
    await run;
  }

  #read(value: WireValue): void {
    const [named, met] = readArray(value, "contacts", 2, 8);
    for (const item of readArray(named, "contacts.named", 0, LIMITS.declaredMax)) {
      const address = addressFromWire(item);
      this.#named.set(addressKey(address), address);
    }
    for (const item of readArray(met, "contacts.met", 0, LIMITS.contactsMax)) {
      const [peer, address] = readArray(item, "contacts.met", 2, 8);
      this.#met.set(readString(peer, "contacts.peer", 64), addressFromWire(address));
    }
  }
}

function addressToWire({ host, port }: HostPort): WireValue {
  return [host, port];
}

function addressFromWire(value: WireValue | undefined): HostPort {
  const [host, port] = readArray(value, "contacts.address", 2, 8);
  return {
    host: readString(host, "contacts.host", 45, /^[0-9a-f.:]+$/),
    port: readInteger(port, "contacts.port", 1, 65_535),
  };
}
