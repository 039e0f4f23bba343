/**
 * The Log port on pino: one JSON line per event, written at once so that a crash loses none.
 *
 * Laws: a log that cannot be written stops nothing, its disk is often the one that is full. Levels
 * change while it runs, for all parts or for one.
 */
import pino from "pino";
import type { Log } from "../ports.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines that wait for room on the disk; what comes beyond is lost. */
const WAITING_BYTES_MAX = 256 * 1024;

type Line = "debug" | "info" | "warn" | "error";

/** Logs to a file descriptor (1: standard output, kept by the service manager). */
export function openLog(level: LogLevel, fd = 1): LeveledLog {
  const destination = pino.destination({ fd, sync: true, maxLength: WAITING_BYTES_MAX });
  // There is no place left to tell of it: the lines are written when there is room again.
  destination.on("error", () => undefined);
  const options = { level: "debug", base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return new LeveledLog(pino(options, destination), new LogLevels(level));
}

/** Which lines are written: one level for all parts, others for single ones. */
export class LogLevels {
  #base: LogLevel;
  /** Parts that log, each with its own level or none. BOUNDED: parts are named by the code. */
  readonly #parts = new Map<string, LogLevel | undefined>();

  constructor(base: LogLevel) {
    this.#base = base;
  }

  get base(): LogLevel {
    return this.#base;
  }

  /** The parts by name, with the level that counts. */
  parts(): readonly { readonly part: string; readonly level: LogLevel }[] {
    const rows = [...this.#parts].map(([part, level]) => ({ part, level: level ?? this.#base }));
    return rows.sort((a, b) => (a.part < b.part ? -1 : 1));
  }

  /** For one part, or for all: then none has a level of its own. False: there is no such part. */
  set(level: LogLevel, part?: string): boolean {
    if (part === undefined) {
      this.#base = level;
      for (const name of this.#parts.keys()) this.#parts.set(name, undefined);
      return true;
    }
    if (!this.#parts.has(part)) return false;
    this.#parts.set(part, level);
    return true;
  }

  /** Makes a part known. */
  know(part: string): void {
    if (!this.#parts.has(part)) this.#parts.set(part, undefined);
  }

  allows(line: Line, part: string): boolean {
    const level = this.#parts.get(part) ?? this.#base;
    return LOG_LEVELS.indexOf(line) >= LOG_LEVELS.indexOf(level);
  }
}

export class LeveledLog implements Log {
  readonly levels: LogLevels;
  readonly #pino: pino.Logger;
  readonly #part: string;

  constructor(logger: pino.Logger, levels: LogLevels, part = "") {
    this.#pino = logger;
    this.levels = levels;
    this.#part = part;
  }

  debug(fields: object, message: string): void {
    if (this.levels.allows("debug", this.#part)) this.#pino.debug(fields, message);
  }

  info(fields: object, message: string): void {
    if (this.levels.allows("info", this.#part)) this.#pino.info(fields, message);
  }

  warn(fields: object, message: string): void {
    if (this.levels.allows("warn", this.#part)) this.#pino.warn(fields, message);
  }

  error(fields: object, message: string): void {
    if (this.levels.allows("error", this.#part)) this.#pino.error(fields, message);
  }

  /** A child with a `part` field is a part of its own. */
  child(fields: object): LeveledLog {
    const { part = this.#part } = fields as { readonly part?: unknown };
    const name = typeof part === "string" ? part : this.#part;
    if (name !== "") this.levels.know(name);
    return new LeveledLog(this.#pino.child(fields), this.levels, name);
  }
}
