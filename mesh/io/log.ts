/** The Log port on pino: one JSON line per event, written at once so that a crash loses none. */
import pino from "pino";
import type { Log } from "../ports.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Logs to a file descriptor (1: standard output, kept by the service manager). */
export function openLog(level: LogLevel, fd = 1): Log {
  const destination = pino.destination({ fd, sync: true });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
