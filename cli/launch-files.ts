/**
 * The files that `launch` makes before the daemon exists, and their removal when it fails.
 *
 * Law: a failed launch leaves nothing behind that was not there before; a log that explains a
 * crash is the exception, because the error line points at it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { messageOf, TsweaveError } from "../mesh/index.ts";

const TAIL_BYTES = 16 * 1024;

export interface LaunchFiles {
  readonly logFd: number;
  /** The last line logged since the files were opened, shortened. */
  readonly lastWords: () => string | undefined;
  readonly close: () => void;
  /** Removes what `openLaunchFiles` made, as far as nobody else uses it. */
  readonly remove: () => void;
}

/** Opens the log of a daemon that runs in the background. @throws TsweaveError STATE_UNWRITABLE. */
export function openLaunchFiles(stateDir: string, logFile: string): LaunchFiles {
  const madeDirs = [
    ...makeDir(stateDir, "--state-dir"),
    ...makeDir(dirname(logFile), "--log-file"),
  ];
  const removeDirs = () => {
    for (const directory of madeDirs) removeIfEmpty(directory);
  };
  const log = openOrUndo(logFile, removeDirs);
  const start = fstatSync(log.fd).size;
  return {
    logFd: log.fd,
    lastWords: () => lastLine(log.fd, start),
    close: () => closeSync(log.fd),
    remove: () => {
      if (log.isNew) rmSync(logFile, { force: true });
      removeDirs();
    },
  };
}

function openOrUndo(logFile: string, undo: () => void): { fd: number; isNew: boolean } {
  try {
    return openLog(logFile);
  } catch (error) {
    undo();
    throw error;
  }
}

/** Opens a log for appending, root's alone. @throws TsweaveError STATE_UNWRITABLE. */
export function openLog(path: string): { fd: number; isNew: boolean } {
  const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = constants;
  try {
    return { fd: openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0o600), isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unwritable(path, error);
  }
  try {
    return { fd: openSync(path, O_RDWR | O_APPEND), isNew: false };
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** The path of an open regular file; null where the descriptor is a pipe, a socket or gone. */
export function fileBehind(fd: number): string | null {
  try {
    return fstatSync(fd).isFile() ? readlinkSync(`/proc/self/fd/${fd}`) : null;
  } catch {
    return null; // No /proc, or the file was removed: it cannot be read by its path.
  }
}

/** The directories that had to be made, innermost first. */
function makeDir(path: string, option: string): string[] {
  let first: string | undefined;
  try {
    first = mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new TsweaveError("STATE_UNWRITABLE", `cannot make ${path}: ${messageOf(error)}`, {
      hint: `choose another ${option}`,
      cause: error,
    });
  }
  if (first === undefined) return [];
  const made: string[] = [];
  const outermost = resolve(first);
  for (let at = resolve(path); at.length >= outermost.length; at = dirname(at)) made.push(at);
  return made;
}

function unwritable(path: string, error: unknown): TsweaveError {
  return new TsweaveError("STATE_UNWRITABLE", `cannot write the log: ${messageOf(error)}`, {
    hint: `check ${dirname(path)}, or choose another --log-file`,
    cause: error,
  });
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // Somebody's files are in it, or it is gone: either way it is not ours to remove.
    const expected = ["ENOTEMPTY", "EEXIST", "ENOENT", "EBUSY"];
    if (!expected.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

function lastLine(fd: number, start: number): string | undefined {
  const end = fstatSync(fd).size;
  const from = Math.max(start, end - TAIL_BYTES);
  const bytes = Buffer.alloc(Math.max(0, end - from));
  const length = readSync(fd, bytes, 0, bytes.length, from);
  const lines = bytes.toString("utf8", 0, length).split("\n");
  const telling = lines.filter((line) => line.trim() !== "" && !/^\s+at |^Node\.js v/.test(line));
  const error = telling.findLast((line) => /error/i.test(line));
  return (error ?? telling.at(-1))?.trim().slice(0, 300);
}
