/**
 * The pipe between `launch` and the daemon it starts: lines of LaunchMessage on descriptor 3.
 *
 * Law: the daemon never depends on the one who started it. A reader that has gone costs nothing.
 */
import { closeSync, writeSync } from "node:fs";
import { isRecord } from "./control/error-body.ts";
import type { LaunchMessage } from "./launch-report.ts";

export const READY_FD = 3;
/** Set for the daemon only; names the descriptor that is the pipe. */
export const READY_VARIABLE = "TSWEAVE_READY_FD";

const LINE_CHARACTERS_MAX = 256 * 1024;

/** The daemon's end. */
export interface ReadyPipe {
  readonly send: (message: LaunchMessage) => void;
  /** No more messages; the starter sees the end of the pipe. */
  readonly close: () => void;
}

/** The pipe this process was given, taken out of `env`; undefined when nobody waits. */
export function takeReadyPipe(env: Record<string, string | undefined>): ReadyPipe | undefined {
  if (env[READY_VARIABLE] !== String(READY_FD)) return undefined;
  delete env[READY_VARIABLE];
  let open = true;
  const close = () => {
    if (open) closeSync(READY_FD);
    open = false;
  };
  return {
    close,
    send: (message) => {
      if (!open) return;
      try {
        writeSync(READY_FD, `${JSON.stringify(message)}\n`);
      } catch (error) {
        // EPIPE: the starter was interrupted. The daemon's own errors reach its log.
        if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
        close();
      }
    },
  };
}

/** Cuts a stream of text into messages; what is not one is skipped. */
export class MessageReader {
  #rest = "";

  push(text: string): LaunchMessage[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, LINE_CHARACTERS_MAX);
    return lines.flatMap((line) => {
      const message = parse(line);
      return message === undefined ? [] : [message];
    });
  }
}

function parse(line: string): LaunchMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const known = "progress" in value || "error" in value || value.ready === true;
  return known ? (value as unknown as LaunchMessage) : undefined;
}
