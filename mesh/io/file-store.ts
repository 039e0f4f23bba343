/**
 * The Store port on a directory of plain files.
 *
 * Law: crash-only. A snapshot is written beside its place, synced and renamed; a journal record
 * carries its length and checksum and is synced before its promise resolves, so a torn tail is
 * recognised and cut. One live process per directory: the lock names who holds it.
 */
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { TsweaveError } from "../errors.ts";
import type { Log, Store } from "../ports.ts";

const KEY = /^[a-z0-9-]+$/;
const RECORD_HEADER_BYTES = 12;
const CHECKSUM_BYTES = 8;

export class FileStore implements Store {
  readonly #directory: string;
  readonly #log: Log;
  /** BOUNDED: one handle a journal key, and keys are named by the code. */
  readonly #journals = new Map<string, FileHandle>();
  /** BOUNDED: one pending write a key, for order. */
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Creates the directory (mode 0700) when missing. */
  static async open(directory: string, log: Log): Promise<FileStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new FileStore(directory, log);
  }

  private constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#read(`${key}.snapshot`);
    if (sealed === undefined) return undefined;
    const body = sealed.subarray(CHECKSUM_BYTES);
    if (Buffer.compare(checksum(body), sealed.subarray(0, CHECKSUM_BYTES)) === 0) return body;
    const path = this.#path(`${key}.snapshot`);
    throw new TsweaveError("STATE_CORRUPT", `${path} does not match its checksum`, {
      hint: "restore it from a backup, or move it away to begin without it",
    });
  }

  async save(key: string, bytes: Uint8Array): Promise<void> {
    const sealed = Buffer.concat([checksum(bytes), bytes]);
    await this.#inOrder(key, () => this.#replaceFile(`${key}.snapshot`, sealed));
  }

  async records(key: string): Promise<Uint8Array[]> {
    const bytes = (await this.#read(`${key}.journal`)) ?? new Uint8Array();
    const { records, end } = parseJournal(bytes);
    if (end < bytes.length) {
      this.#log.warn({ key, droppedBytes: bytes.length - end }, "cut a torn journal tail");
      const file = await open(this.#path(`${key}.journal`), "r+");
      await file.truncate(end);
      await file.datasync();
      await file.close();
    }
    return records;
  }

  async append(key: string, record: Uint8Array): Promise<void> {
    await this.#inOrder(key, async () => {
      const file =
        this.#journals.get(key) ?? (await open(this.#path(`${key}.journal`), "a", 0o600));
      this.#journals.set(key, file);
      await file.appendFile(sealRecord(record));
      await file.datasync();
    });
  }

  async rewrite(key: string, records: readonly Uint8Array[]): Promise<void> {
    await this.#inOrder(key, async () => {
      await this.#journals.get(key)?.close();
      this.#journals.delete(key);
      await this.#replaceFile(`${key}.journal`, Buffer.concat(records.map(sealRecord)));
    });
  }

  /** Waits for pending writes and closes the journals. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#tails.values());
    for (const file of this.#journals.values()) await file.close();
    this.#journals.clear();
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #inOrder<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (!KEY.test(key)) throw new TsweaveError("INTERNAL", `bad store key ${key}`);
    const before = this.#tails.get(key) ?? Promise.resolve();
    const run = before.then(work, work);
    this.#tails.set(
      key,
      run.catch(() => undefined),
    );
    return await run;
  }

  async #read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async #replaceFile(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const beside = `${path}.new`;
    const file = await open(beside, "w", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    const directory = await open(this.#directory, "r");
    await directory.sync();
    await directory.close();
  }
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest().subarray(0, CHECKSUM_BYTES);
}

function sealRecord(record: Uint8Array): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32BE(record.length);
  checksum(record).copy(header, 4);
  return Buffer.concat([header, record]);
}

/** The whole records at the start of a journal and where they end. */
export function parseJournal(bytes: Uint8Array): { records: Uint8Array[]; end: number } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  let end = 0;
  while (end + RECORD_HEADER_BYTES <= view.length) {
    const length = view.readUInt32BE(end);
    const next = end + RECORD_HEADER_BYTES + length;
    if (next > view.length) break;
    const record = view.subarray(end + RECORD_HEADER_BYTES, next);
    if (Buffer.compare(checksum(record), view.subarray(end + 4, end + 12)) !== 0) break;
    records.push(record);
    end = next;
  }
  return { records, end };
}
