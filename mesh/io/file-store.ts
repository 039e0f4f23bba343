/**
 * The Store port on a directory of plain files.
 *
 * Law: crash-only. A snapshot is written beside its place, synced and renamed; a journal record
 * carries its length and checksum and is synced before its promise resolves, so a torn tail, which
 * nobody was promised, is recognised and cut. Damage before the end loses what was promised: it is
 * told, and the file is kept aside. What a failed append left behind is cut off before anything is
 * appended after it. One live process per directory: the lock names who holds it.
 */
import { createHash } from "node:crypto";
import { copyFile, type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, TsweaveError } from "../errors.ts";
import type { JournalDamage, Log, Store } from "../ports.ts";
import { storeError } from "./store-error.ts";

const KEY = /^[a-z0-9-]+$/;
const RECORD_HEADER_BYTES = 12;
const CHECKSUM_BYTES = 8;

interface Journal {
  readonly file: FileHandle;
  /** How far the file holds acknowledged records. */
  end: number;
  /** More may stand behind that. */
  isTorn: boolean;
}

export class FileStore implements Store {
  readonly #directory: string;
  readonly #log: Log;
  /** BOUNDED: one handle a journal key, and keys are named by the code. */
  readonly #journals = new Map<string, Journal>();
  /** Damaged journals not written since; `end`: of what can be read. BOUNDED: one a journal. */
  readonly #damaged = new Map<string, JournalDamage & { readonly end: number }>();
  /** BOUNDED: one pending write a key, for order. */
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Creates the directory (mode 0700) when missing. @throws TsweaveError STATE_UNWRITABLE */
  static async open(directory: string, log: Log): Promise<FileStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw storeError(directory, error);
    }
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
    const { records, end, isTorn } = parseJournal(bytes);
    this.#damaged.delete(key);
    const droppedBytes = bytes.length - end;
    if (droppedBytes === 0) return records;
    if (isTorn) {
      this.#log.warn({ key, droppedBytes }, "cut a torn journal tail");
      await this.#cut(key, end);
      return records;
    }
    const keptAt = this.#path(`${key}.journal.damaged`);
    this.#damaged.set(key, { lostBytes: droppedBytes, keptAt, end });
    this.#log.error({ key, droppedBytes, keptAt }, "a journal is damaged before its end");
    return records;
  }

  damage(key: string): JournalDamage | undefined {
    return this.#damaged.get(key);
  }

  async append(key: string, record: Uint8Array): Promise<void> {
    await this.#inOrder(key, async () => {
      await this.#keepAside(key, true);
      const journal = await this.#journal(key);
      if (journal.isTorn) await cutBack(journal);
      const sealed = sealRecord(record);
      journal.isTorn = true;
      try {
        await journal.file.appendFile(sealed);
        await journal.file.datasync();
      } catch (error) {
        await cutBack(journal).catch((failure: unknown) => {
          // The next append begins with it.
          this.#log.warn({ key, error: messageOf(failure) }, "cannot cut a failed append yet");
        });
        throw error;
      }
      journal.end += sealed.length;
      journal.isTorn = false;
    });
  }

  async #journal(key: string): Promise<Journal> {
    const known = this.#journals.get(key);
    if (known !== undefined) return known;
    const file = await open(this.#path(`${key}.journal`), "a", 0o600);
    const journal = { file, end: (await file.stat()).size, isTorn: false };
    this.#journals.set(key, journal);
    return journal;
  }

  async rewrite(key: string, records: readonly Uint8Array[]): Promise<void> {
    await this.#inOrder(key, async () => {
      await this.#journals.get(key)?.file.close();
      this.#journals.delete(key);
      await this.#keepAside(key, false);
      await this.#replaceFile(`${key}.journal`, Buffer.concat(records.map(sealRecord)));
    });
  }

  /** Copies a damaged journal before it is written; appends go on behind its readable part. */
  async #keepAside(key: string, isAppend: boolean): Promise<void> {
    const damaged = this.#damaged.get(key);
    if (damaged === undefined) return;
    await copyFile(this.#path(`${key}.journal`), damaged.keptAt);
    if (isAppend) await this.#cut(key, damaged.end);
    this.#damaged.delete(key);
  }

  async #cut(key: string, end: number): Promise<void> {
    const file = await open(this.#path(`${key}.journal`), "r+");
    try {
      await file.truncate(end);
      await file.datasync();
      const journal = this.#journals.get(key);
      if (journal !== undefined) journal.end = Math.min(journal.end, end);
    } catch (error) {
      throw storeError(this.#path(`${key}.journal`), error);
    } finally {
      await file.close();
    }
  }

  /** Waits for pending writes and closes the journals. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#tails.values());
    for (const { file } of this.#journals.values()) await file.close();
    this.#journals.clear();
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #inOrder<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (!KEY.test(key)) throw new TsweaveError("INTERNAL", `bad store key ${key}`);
    const before = this.#tails.get(key) ?? Promise.resolve();
    const run = before.then(work).catch((error: unknown) => {
      throw storeError(this.#path(key), error);
    });
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

/** Back to what was acknowledged. */
async function cutBack(journal: Journal): Promise<void> {
  await journal.file.truncate(journal.end);
  await journal.file.datasync();
  journal.isTorn = false;
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

/**
 * The whole records at the start of a journal and where they end. What follows is a torn tail if it
 * can be the beginning of one record and nothing whole comes behind it; else it is damage.
 */
export function parseJournal(bytes: Uint8Array): {
  readonly records: Uint8Array[];
  readonly end: number;
  readonly isTorn: boolean;
} {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  let end = 0;
  for (;;) {
    const record = recordAt(view, end);
    if (record === undefined) break;
    records.push(record);
    end += RECORD_HEADER_BYTES + record.length;
  }
  return { records, end, isTorn: isTorn(view, end) };
}

/** The record that begins at `at`, if it is whole and matches its checksum. */
function recordAt(view: Buffer, at: number): Buffer | undefined {
  if (at + RECORD_HEADER_BYTES > view.length) return undefined;
  const next = at + RECORD_HEADER_BYTES + view.readUInt32BE(at);
  if (next > view.length) return undefined;
  const record = view.subarray(at + RECORD_HEADER_BYTES, next);
  const sum = view.subarray(at + 4, at + RECORD_HEADER_BYTES);
  return Buffer.compare(checksum(record), sum) === 0 ? record : undefined;
}

/** A write that a crash cut short leaves too few bytes, or (late allocation) zeros at its end. */
function isTorn(view: Buffer, end: number): boolean {
  const rest = view.length - end;
  if (rest < RECORD_HEADER_BYTES) return true;
  const isShort = RECORD_HEADER_BYTES + view.readUInt32BE(end) > rest;
  if (!isShort && view.at(-1) !== 0) return false;
  // A length that was altered also looks short: then whole records follow.
  for (let at = end + 1; at + RECORD_HEADER_BYTES < view.length; at++) {
    if (recordAt(view, at) !== undefined) return false;
  }
  return true;
}
