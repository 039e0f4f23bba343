/**
 * This host's durable truth about its networks and endpoints: what Docker told the driver and
 * Docker will not repeat (CreateNetwork is not replayed at engine start, a lost Leave never is),
 * and what was attached without Docker.
 *
 * Law: crash-only. A change is appended to the journal before anyone sees it; the state is what
 * the journal says and nothing else. An append that failed may have left part of a record, behind
 * which nothing would be read again: the journal is replaced before the next one.
 */
import {
  decodeWire,
  encodeWire,
  LIMITS,
  type Log,
  messageOf,
  type Store,
  TsweaveError,
} from "../mesh/index.ts";
import type { Attachment } from "./attach/model.ts";
import { attachmentFromRecord, attachmentRecord } from "./attach/records.ts";
import {
  endpointFromRecord,
  endpointRecord,
  networkFromRecord,
  networkRecord,
  readKind,
} from "./ledger-records.ts";
import type { LocalEndpoint, Network } from "./model.ts";

/** A network of this host's engine. */
export interface HeldNetwork extends Network {
  /** Empty until the engine has told it: CreateNetwork does not carry it. `vni` is 0 as long. */
  readonly name: string;
  /** `--ip-range`, empty where none was given. */
  readonly ipRange: string;
  /** The user's underlay size, 0 where none was given. */
  readonly underlayMtuBytes: number;
  /** Addresses the user reserved with `--aux-address`. */
  readonly auxiliary: readonly string[];
}

/** An endpoint of this host's engine, from CreateEndpoint to DeleteEndpoint. */
export interface HeldEndpoint extends Omit<LocalEndpoint, "network"> {
  readonly networkId: string;
  /** Between Join and Leave. */
  readonly joined: boolean;
  /** Path of the container's network namespace, empty when not joined. */
  readonly sandboxKey: string;
  /** Empty until the engine has told it. */
  readonly containerId: string;
  readonly names: readonly string[];
  /** Names that `--link` defined in this container. */
  readonly links: readonly string[];
  /** Ports that it exposes, such as `80/tcp`; absent: none. */
  readonly ports?: readonly string[];
  /** True when its health check fails. */
  readonly isUnhealthy?: boolean;
}

const KEY = "overlay";
/** Records beyond four times what is alive are worth a rewrite, but not before this many. */
const COMPACT_RECORDS_MIN = 512;

export class Ledger {
  /** BOUNDED: networksMax, checked before a record is appended. */
  readonly #networks = new Map<string, HeldNetwork>();
  /** BOUNDED: rowsPerOriginMax, checked before a record is appended. */
  readonly #endpoints = new Map<string, HeldEndpoint>();
  /** By name. BOUNDED: networksMax, checked before a record is appended. */
  readonly #ownNetworks = new Map<string, HeldNetwork>();
  /** BOUNDED: rowsPerOriginMax, checked before a record is appended. */
  readonly #attachments = new Map<string, Attachment>();
  readonly #store: Store;
  readonly #log: Log;
  #records = 0;
  /** The last append failed and the journal has not been replaced since. */
  #doubtful = false;
  #tail: Promise<void> = Promise.resolve();

  private constructor(store: Store, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** Reads the journal. A record that cannot be read is logged and left out. */
  static async open(store: Store, log: Log): Promise<Ledger> {
    const ledger = new Ledger(store, log);
    for (const bytes of await store.records(KEY)) {
      ledger.#records += 1;
      try {
        ledger.#apply(bytes);
      } catch (error) {
        log.warn({ reason: messageOf(error) }, "skipped an unreadable record of the ledger");
      }
    }
    return ledger;
  }

  networks(): readonly HeldNetwork[] {
    return [...this.#networks.values()];
  }

  network(id: string): HeldNetwork | undefined {
    return this.#networks.get(id);
  }

  endpoints(): readonly HeldEndpoint[] {
    return [...this.#endpoints.values()];
  }

  endpoint(id: string): HeldEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  /** The endpoints of one network. */
  endpointsOf(networkId: string): readonly HeldEndpoint[] {
    return this.endpoints().filter((endpoint) => endpoint.networkId === networkId);
  }

  /** Adds or replaces a network; durable when it resolves. */
  async putNetwork(network: HeldNetwork): Promise<void> {
    const full = this.#networks.size >= LIMITS.networksMax && !this.#networks.has(network.id);
    if (full) throw fullError("networks", LIMITS.networksMax);
    await this.#append(networkRecord(network));
  }

  /** Forgets a network; its endpoints stay. */
  async dropNetwork(id: string): Promise<void> {
    if (this.#networks.has(id)) await this.#append(["network-gone", id]);
  }

  /** Adds or replaces an endpoint; durable when it resolves. */
  async putEndpoint(endpoint: HeldEndpoint): Promise<void> {
    const full =
      this.#endpoints.size >= LIMITS.rowsPerOriginMax && !this.#endpoints.has(endpoint.id);
    if (full) throw fullError("endpoints", LIMITS.rowsPerOriginMax);
    await this.#append(endpointRecord(endpoint));
  }

  async dropEndpoint(id: string): Promise<void> {
    if (this.#endpoints.has(id)) await this.#append(["endpoint-gone", id]);
  }

  /** Networks that attachments use, held whether or not the engine has them. */
  ownNetworks(): readonly HeldNetwork[] {
    return [...this.#ownNetworks.values()];
  }

  /** Adds or replaces a network of attachments, by its name; durable when it resolves. */
  async putOwnNetwork(network: HeldNetwork): Promise<void> {
    const isNew = !this.#ownNetworks.has(network.name);
    if (isNew && this.#ownNetworks.size >= LIMITS.networksMax) {
      throw fullError("networks", LIMITS.networksMax);
    }
    await this.#append(networkRecord(network, "own-network"));
  }

  async dropOwnNetwork(name: string): Promise<void> {
    const held = this.#ownNetworks.get(name);
    if (held !== undefined) await this.#append(["own-network-gone", held.id]);
  }

  attachments(): readonly Attachment[] {
    return [...this.#attachments.values()];
  }

  attachment(id: string): Attachment | undefined {
    return this.#attachments.get(id);
  }

  /** Adds or replaces an attachment; durable when it resolves. */
  async putAttachment(attachment: Attachment): Promise<void> {
    const isNew = !this.#attachments.has(attachment.id);
    if (isNew && this.#attachments.size >= LIMITS.rowsPerOriginMax) {
      throw fullError("attachments", LIMITS.rowsPerOriginMax);
    }
    await this.#append(attachmentRecord(attachment));
  }

  async dropAttachment(id: string): Promise<void> {
    if (this.#attachments.has(id)) await this.#append(["attachment-gone", id]);
  }

  /** One write after the other, so that a rewrite never loses an append that is under way. */
  async #append(record: Parameters<typeof encodeWire>[0]): Promise<void> {
    const work = this.#tail.then(async () => {
      await this.#tidy();
      const bytes = encodeWire(record);
      try {
        await this.#store.append(KEY, bytes);
      } catch (error) {
        this.#doubtful = true;
        throw unwritable(error);
      }
      this.#records += 1;
      this.#apply(bytes);
    });
    this.#tail = work.catch(() => undefined);
    await work;
  }

  /** Replaces a journal that is mostly history, which may wait, or in doubt, which may not. */
  async #tidy(): Promise<void> {
    const endpoints = this.#endpoints.size + this.#attachments.size;
    const alive = this.#networks.size + this.#ownNetworks.size + endpoints;
    const isLong = this.#records >= COMPACT_RECORDS_MIN && this.#records >= 4 * alive;
    if (!isLong && !this.#doubtful) return;
    const records = [
      ...this.networks().map((network) => networkRecord(network)),
      ...this.ownNetworks().map((network) => networkRecord(network, "own-network")),
      ...this.endpoints().map(endpointRecord),
      ...this.attachments().map(attachmentRecord),
    ];
    try {
      await this.#store.rewrite(KEY, records.map(encodeWire));
      this.#records = records.length;
      this.#doubtful = false;
    } catch (error) {
      if (this.#doubtful) throw unwritable(error);
      this.#log.warn({ reason: messageOf(error) }, "the ledger is not shortened yet");
    }
  }

  #apply(bytes: Uint8Array): void {
    const { kind, id, record } = readKind(decodeWire(bytes));
    if (kind === "network") this.#networks.set(id, networkFromRecord(record));
    else if (kind === "endpoint") this.#endpoints.set(id, endpointFromRecord(record));
    else if (kind === "attachment") this.#attachments.set(id, attachmentFromRecord(record));
    else if (kind === "network-gone") this.#networks.delete(id);
    else if (kind === "endpoint-gone") this.#endpoints.delete(id);
    else if (kind === "attachment-gone") this.#attachments.delete(id);
    else if (kind === "own-network") this.#setOwn(networkFromRecord(record));
    else if (kind === "own-network-gone") this.#deleteOwn(id);
    else throw new TsweaveError("BAD_MESSAGE", `a record of unknown kind '${kind}'`);
  }

  #setOwn(network: HeldNetwork): void {
    this.#ownNetworks.set(network.name, network);
  }

  #deleteOwn(id: string): void {
    for (const { id: held, name } of this.ownNetworks()) {
      if (held === id) this.#ownNetworks.delete(name);
    }
  }
}

/** An endpoint as the rest of the overlay knows it. */
export function localEndpoint(endpoint: HeldEndpoint, network: HeldNetwork): LocalEndpoint {
  return { id: endpoint.id, network: network.name, ip: endpoint.ip, mac: endpoint.mac };
}

function unwritable(error: unknown): TsweaveError {
  return new TsweaveError("STATE_UNWRITABLE", `the journal of endpoints: ${messageOf(error)}`, {
    hint: "free space on the disk of the state directory, then try again",
    cause: error,
  });
}

function fullError(what: string, most: number): TsweaveError {
  return new TsweaveError("BAD_REQUEST", `this host already has ${most} ${what}, the most allowed`);
}
