/**
 * The Log port on pino: one JSON line per event, written at once so that a crash loses none.
 *
 * Law: a log that cannot be written stops nothing. Its disk is often the one that is full.
 */
import pino from "pino";
import type { Log } from "../ports.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines that wait for room on the disk; what comes beyond is lost. */
const WAITING_BYTES_MAX = 256 * 1024;

/** Logs to a file descriptor (1: standard output, kept by the service manager). */
export function openLog(level: LogLevel, fd = 1): Log {
  const destination = pino.destination({ fd, sync: true, maxLength: WAITING_BYTES_MAX });
  // There is no place left to tell of it: the lines are written when there is room again.
  destination.on("error", () => undefined);
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
