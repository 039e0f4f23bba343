/**
 * The lines of a log: its last ones, and each new one while it grows.
 *
 * Law: a log that is rotated or cut is followed from its new beginning; a file of any size is read
 * in bounded pieces.
 */
import { type FileHandle, open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TsweaveError } from "../mesh/index.ts";

const PIECE_BYTES = 64 * 1024;
/** How far back the last lines are looked for. */
const TAIL_BYTES_MAX = 64 * 1024 * 1024;
/** A line beyond this is given out in parts. */
const LINE_CHARACTERS_MAX = 1024 * 1024;
const POLL_MS = 200;

/** Cuts a stream of bytes into lines. */
export class LineCutter {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  push(bytes: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(bytes)).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LINE_CHARACTERS_MAX) lines.push(this.end());
    return lines;
  }

  /** What came after the last newline. */
  end(): string {
    const rest = this.#rest;
    this.#rest = "";
    return rest;
  }
}

/** Calls `receive` with each of the last `count` lines of a file that `wanted` takes. */
export async function lastLines(
  path: string,
  count: number,
  wanted: (line: string) => boolean,
  receive: (line: string) => void,
): Promise<{ readonly end: number }> {
  const file = await openLogFile(path);
  try {
    const { size } = await file.stat();
    const found: string[] = [];
    let tail = Buffer.alloc(0);
    let from = size;
    while (from > 0 && found.length < count && size - from < TAIL_BYTES_MAX) {
      const length = Math.min(PIECE_BYTES, from);
      from -= length;
      tail = Buffer.concat([await pieceAt(file, from, length), tail]);
      const cut = from === 0 ? 0 : tail.indexOf(10) + 1;
      if (cut === 0 && from > 0) continue;
      const lines = tail.toString("utf8", cut).split("\n");
      tail = tail.subarray(0, cut);
      found.unshift(...lines.filter((line) => line !== "" && wanted(line)));
    }
    for (const line of found.slice(-count)) receive(line);
    return { end: size };
  } finally {
    await file.close();
  }
}

/** Calls `receive` with each line written after `start`, until aborted. */
export async function followLines(
  path: string,
  start: number,
  receive: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let file = await openLogFile(path);
  let at = start;
  let cutter = new LineCutter();
  try {
    while (!signal.aborted) {
      const { size, ino } = await file.stat();
      if (size < at) {
        at = 0;
        cutter = new LineCutter();
      }
      const piece = await pieceAt(file, at, PIECE_BYTES);
      at += piece.length;
      for (const line of cutter.push(piece)) if (line !== "") receive(line);
      if (piece.length > 0) continue;
      const next = await replacement(path, ino);
      if (next !== undefined) {
        await file.close();
        file = next;
        at = 0;
        cutter = new LineCutter();
      } else await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}

/** The file that has taken the place of the one with this inode. */
async function replacement(path: string, ino: number): Promise<FileHandle | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined || (await file.stat()).ino !== ino) return file;
  await file.close();
  return undefined;
}

async function pieceAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function openLogFile(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EACCES") {
      const hint = "run the command as root";
      throw new TsweaveError("NOT_ROOT", `${path} may not be read`, { hint, cause: error });
    }
    throw new TsweaveError("NOT_FOUND", `no log: ${messageOf(error)}`, {
      hint: "name it with --log-file; under systemd: journalctl -u tsweave",
      cause: error,
    });
  }
}
