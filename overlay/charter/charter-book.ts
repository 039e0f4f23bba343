/**
 * The charters this host knows: its own memory on disk, joined with what the tables say, and shown
 * to the others.
 *
 * Laws: a decision is durable before anyone hears of it. What is known is never forgotten with the
 * peer that said it, so a removal outlives its author; a few hosts of any part of the mesh show
 * everything, the others what they decided themselves.
 */
import {
  type Clock,
  decodeWire,
  encodeWire,
  LIMITS,
  type Log,
  messageOf,
  type PeerId,
  readArray,
  readString,
  type Store,
  type Tables,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../../mesh/index.ts";
import { CoalescingWorker, SerialQueue } from "../serial.ts";
import {
  type Charter,
  dissolved,
  founded,
  joined,
  type NetworkSpec,
  NO_CHARTER,
  newestStamp,
} from "./charter.ts";
import { charterFromWire, charterToWire, isNetworkName } from "./charter-wire.ts";

export interface CharterBookPorts {
  readonly store: Store;
  readonly tables: Tables;
  readonly clock: Clock;
  readonly log: Log;
  /** Peers that are here, this one included. */
  readonly live: () => readonly PeerId[];
}

const TABLE = "charters";
const KEY = "charters";
/** So many hosts of each part of a mesh show all that they know: two may be lost together. */
const KEEPERS = 3;

export class CharterBook {
  /** Called after any change. */
  onChange: () => void = () => undefined;
  readonly #ports: CharterBookPorts;
  readonly #self: PeerId;
  readonly #queue = new SerialQueue();
  readonly #worker: CoalescingWorker;
  /** By network name. BOUNDED: chartersMax, see #bounded. */
  #charters = new Map<string, Charter>();
  /** Names whose rows this host shows. BOUNDED: as #charters. */
  readonly #shown = new Set<string>();

  private constructor(ports: CharterBookPorts, self: PeerId) {
    this.#ports = ports;
    this.#self = self;
    this.#worker = new CoalescingWorker(ports.clock, "charters", () => this.#learn());
  }

  /**
   * Reads back what was known and shows this host's part of it; to be opened before peers are
   * asked anything. @throws TsweaveError STATE_CORRUPT.
   */
  static async open(ports: CharterBookPorts, self: PeerId): Promise<CharterBook> {
    const book = new CharterBook(ports, self);
    const bytes = await ports.store.load(KEY);
    if (bytes !== undefined) book.#charters = readRecord(bytes);
    book.#show();
    ports.tables.watch(TABLE, () => book.#worker.request());
    book.#worker.request();
    return book;
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  /** To be called when peers come or go: others may have to keep what those knew. */
  membershipChanged(): void {
    this.#worker.request();
  }

  charters(): ReadonlyMap<string, Charter> {
    return this.#charters;
  }

  charter(name: string): Charter {
    return this.#charters.get(name) ?? NO_CHARTER;
  }

  /** Resolves when what the tables hold now has been taken over. */
  async settled(): Promise<void> {
    await this.#worker.flush();
  }

  /** A network was made here. Durable when it resolves. @throws TsweaveError STATE_UNWRITABLE. */
  async found(name: string, spec: NetworkSpec): Promise<void> {
    await this.#queue.run(async () => {
      const live = [...this.#charters.values()].filter((charter) => charter.live.length > 0);
      if (live.length >= LIMITS.networksMax && this.charter(name).live.length === 0) {
        const text = `the mesh has ${LIMITS.networksMax} networks, the most allowed`;
        throw new TsweaveError("BAD_REQUEST", text, { hint: "see tsweave network ls" });
      }
      const after = Math.max(0, ...[...this.#charters.values()].map(newestStamp));
      const charter = founded(this.charter(name), this.#self, after, spec);
      await this.#replace(new Map(this.#charters).set(name, charter), [name]);
    });
  }

  /** A network was removed for all. Durable when it resolves. @throws as `found`. */
  async dissolve(name: string, subnet: string): Promise<void> {
    await this.#queue.run(async () => {
      const charter = dissolved(this.charter(name), subnet);
      await this.#replace(new Map(this.#charters).set(name, charter), [name]);
    });
  }

  /** Joins what the tables say. Never rejects: what could not be written is tried again. */
  async #learn(): Promise<void> {
    try {
      await this.#queue.run(async () => {
        const next = new Map(this.#charters);
        for (const { origin, key, value } of this.#ports.tables.rows(TABLE)) {
          if (origin === this.#self) continue;
          const heard = this.#read(key, value);
          if (heard !== undefined) next.set(key, joined(next.get(key) ?? NO_CHARTER, heard));
        }
        const changed = [...next].filter(([name, charter]) => !this.#isKnown(name, charter));
        if (changed.length > 0) await this.#replace(next, []);
        else this.#show();
      });
    } catch (error) {
      this.#ports.log.warn({ reason: messageOf(error) }, "what networks there are is not kept yet");
      this.#worker.request(TIMES.storeRetryMs);
    }
  }

  #read(key: string, value: WireValue): Charter | undefined {
    try {
      if (!isNetworkName(key)) throw new TsweaveError("BAD_MESSAGE", "not a network's name");
      return charterFromWire(value);
    } catch (error) {
      this.#ports.log.warn({ key, error: messageOf(error) }, "skipped a charter");
      return undefined;
    }
  }

  #isKnown(name: string, charter: Charter): boolean {
    const known = this.#charters.get(name);
    return known !== undefined && textOf(known) === textOf(charter);
  }

  async #replace(charters: Map<string, Charter>, own: readonly string[]): Promise<void> {
    const next = bounded(charters);
    await this.#ports.store.save(KEY, encodeWire(recordOf(next)));
    this.#charters = next;
    for (const name of own) this.#shown.add(name);
    this.#show();
    this.onChange();
  }

  /** Rows of what this host decided, is a keeper of, or has shown before. */
  #show(): void {
    const { tables, live } = this.#ports;
    const isKeeper = live().toSorted().slice(0, KEEPERS).includes(this.#self);
    for (const [name, charter] of this.#charters) {
      const isOwn = charter.live.some(({ creator }) => creator === this.#self);
      if (isKeeper || isOwn) this.#shown.add(name);
      if (this.#shown.has(name)) tables.put(TABLE, name, charterToWire(charter));
    }
    for (const name of this.#shown) {
      if (this.#charters.has(name)) continue;
      tables.remove(TABLE, name);
      this.#shown.delete(name);
    }
  }
}

/** The oldest removals go first. What is forgotten may be heard again, and goes again. */
function bounded(charters: ReadonlyMap<string, Charter>): Map<string, Charter> {
  if (charters.size <= LIMITS.chartersMax) return new Map(charters);
  const isLive = ({ live }: Charter) => (live.length > 0 ? 1 : 0);
  const ordered = [...charters].sort(([nameA, a], [nameB, b]) => {
    const order = isLive(b) - isLive(a) || newestStamp(b) - newestStamp(a);
    return order || (nameA < nameB ? -1 : 1);
  });
  return new Map(ordered.slice(0, LIMITS.chartersMax));
}

function textOf(charter: Charter): string {
  return Buffer.from(encodeWire(charterToWire(charter))).toString("base64");
}

function recordOf(charters: ReadonlyMap<string, Charter>): WireValue {
  return [...charters].map(([name, charter]) => [name, charterToWire(charter)]);
}

/** @throws TsweaveError STATE_CORRUPT */
function readRecord(bytes: Uint8Array): Map<string, Charter> {
  try {
    return new Map(
      readArray(decodeWire(bytes), "charters", 0, LIMITS.chartersMax).map((item) => {
        const [name, charter] = readArray(item, "charters", 2, 8);
        return [readString(name, "charter.name", 255), charterFromWire(charter)];
      }),
    );
  } catch (error) {
    throw new TsweaveError("STATE_CORRUPT", `what networks there are: ${messageOf(error)}`, {
      hint: "remove charters.* from the state directory; peers tell it again",
      cause: error,
    });
  }
}
