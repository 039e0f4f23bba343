/**
 * Outside services: names that a person adds on this host for addresses that no container of the
 * mesh has.
 *
 * Law: durable before anyone hears of it; a restart keeps what was added until someone removes it.
 * Rows belong to this host: only it removes them, and they count while it is here.
 */
import {
  decodeWire,
  encodeWire,
  LIMITS,
  type Log,
  messageOf,
  readArray,
  readString,
  type Store,
  TsweaveError,
} from "../mesh/index.ts";
import { parseIpv4 } from "./ipv4.ts";
import { foldCase, labelsOf } from "./name.ts";
import { EVERY_NETWORK } from "./record.ts";

/** One address of one name. */
export interface OutsideService {
  /** Folded, without the mesh's own domain. */
  readonly name: string;
  /** Name of a network, or EVERY_NETWORK. */
  readonly network: string;
  /** Plain IPv4. */
  readonly ip: string;
}

interface OutsidePorts {
  readonly store: Pick<Store, "load" | "save">;
  readonly log: Log;
  /** Writes this host's row of a service, or removes it. */
  readonly publish: (key: string, service: OutsideService | undefined) => void;
}

const STORE_KEY = "services";
/** What a resolver on any system takes, underscores included. */
const NAME = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

export class OutsideServices {
  readonly #ports: OutsidePorts;
  /** BOUNDED: LIMITS.servicesMax, checked before one is added. */
  #services = new Map<string, OutsideService>();
  #tail: Promise<void> = Promise.resolve();

  private constructor(ports: OutsidePorts) {
    this.#ports = ports;
  }

  /** Publishes what a former life of this host held. A damaged file is named and begun anew. */
  static async open(ports: OutsidePorts): Promise<OutsideServices> {
    const opened = new OutsideServices(ports);
    try {
      const bytes = await ports.store.load(STORE_KEY);
      if (bytes !== undefined) opened.#services = read(bytes);
    } catch (error) {
      ports.log.error({ error: messageOf(error) }, "the names added by dns-add do not read");
    }
    for (const [key, service] of opened.#services) ports.publish(key, service);
    return opened;
  }

  list(): readonly OutsideService[] {
    return [...this.#services.values()];
  }

  /** Adds addresses; resolves with those that were not there. @throws TsweaveError BAD_REQUEST. */
  async add(services: readonly OutsideService[]): Promise<readonly OutsideService[]> {
    return await this.#change((now) => {
      const added = services.filter((service) => !now.has(keyOf(service)));
      for (const service of added) now.set(keyOf(service), service);
      if (now.size > LIMITS.servicesMax) {
        throw new TsweaveError("BAD_REQUEST", `this host has ${LIMITS.servicesMax} services`, {
          hint: "remove some with 'tsweave dns-remove', or add them on another host",
        });
      }
      return added;
    });
  }

  /** Removes addresses of a name, all without `ips`; resolves with those that were there. */
  async remove(
    name: string,
    network: string,
    ips: readonly string[],
  ): Promise<readonly OutsideService[]> {
    return await this.#change((now) => {
      const removed = [...now.values()].filter((service) => {
        const isNamed = service.name === name && service.network === network;
        return isNamed && (ips.length === 0 || ips.includes(service.ip));
      });
      for (const service of removed) now.delete(keyOf(service));
      return removed;
    });
  }

  /** One change after the other: on a copy, to disk, into the tables. */
  async #change(
    change: (now: Map<string, OutsideService>) => readonly OutsideService[],
  ): Promise<readonly OutsideService[]> {
    const work = this.#tail.then(async () => {
      const now = new Map(this.#services);
      const changed = change(now);
      if (changed.length === 0) return changed;
      await this.#ports.store.save(STORE_KEY, written(now));
      this.#services = now;
      for (const service of changed) {
        const key = keyOf(service);
        this.#ports.publish(key, now.get(key));
      }
      return changed;
    });
    this.#tail = work.then(
      () => undefined,
      () => undefined,
    );
    return await work;
  }
}

/**
 * A name as it is kept: folded, without a dot at the end and without the mesh's own domain, which
 * every name has anyway. @throws TsweaveError USAGE.
 */
export function outsideName(text: string, domain: string): string {
  const folded = foldCase(text).replace(/\.$/, "");
  const suffix = `.${domain}`;
  const name = folded.endsWith(suffix) ? folded.slice(0, -suffix.length) : folded;
  if (NAME.test(name) && labelsOf(name) !== undefined && parseIpv4(name) === undefined) return name;
  throw new TsweaveError("USAGE", `'${text.slice(0, 100)}' is not a name`, {
    hint: "use letters, digits, '-' and '_', labels joined by dots, such as db or db.corp.example",
  });
}

/** An address as it is kept. @throws TsweaveError USAGE. */
export function outsideAddress(text: string): string {
  const address = parseIpv4(text);
  // Neither 0.0.0.0/8 nor multicast and beyond is anybody's address.
  if (address !== undefined && address >= 0x0100_0000 && address < 0xe000_0000) return text;
  throw new TsweaveError("USAGE", `'${text.slice(0, 100)}' is not an IPv4 address of a service`, {
    hint: "such as 192.168.48.20",
  });
}

/** The row's key: apart from endpoints, whose keys are 64 digits. @throws TsweaveError USAGE. */
function keyOf({ name, network, ip }: OutsideService): string {
  const key = `service ${ip} ${network} ${name}`;
  if (key.length <= LIMITS.rowKeyLengthMax) return key;
  throw new TsweaveError("USAGE", `'${name.slice(0, 100)}' is too long for a service`, {
    hint: `name and network together have at most ${LIMITS.rowKeyLengthMax - 25} characters`,
  });
}

function written(services: ReadonlyMap<string, OutsideService>): Uint8Array {
  return encodeWire([...services.values()].map(({ name, network, ip }) => [name, network, ip]));
}

/** @throws TsweaveError BAD_MESSAGE. */
function read(bytes: Uint8Array): Map<string, OutsideService> {
  const rows = readArray(decodeWire(bytes), "services", 0, LIMITS.servicesMax);
  const services = rows.map((row): OutsideService => {
    const [name, network, ip] = readArray(row, "service", 3, 16);
    return {
      name: readString(name, "service.name", 255, NAME),
      network: network === EVERY_NETWORK ? EVERY_NETWORK : readString(network, "network", 255),
      ip: outsideAddress(readString(ip, "service.ip", 15)),
    };
  });
  return new Map(services.map((service) => [keyOf(service), service]));
}
