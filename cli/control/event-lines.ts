/** A stream of events as its reader sees it: JSON lines, until the daemon or the reader ends it. */
import type { IncomingMessage } from "node:http";
import { TsweaveError } from "../../mesh/index.ts";
import { errorFromBody, isRecord } from "./error-body.ts";

/** One event with twenty repaired entries has two kilobytes. */
const LINE_CHARACTERS_MAX = 1024 * 1024;

/**
 * Calls `receive` with each event's line, without its newline. Resolves at the stream's end.
 * @throws TsweaveError what the daemon says instead of an event, BAD_MESSAGE
 */
export async function readLines(
  response: IncomingMessage,
  receive: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const piece of response.setEncoding("utf8")) {
    const lines = (rest + String(piece)).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARACTERS_MAX) throw notUnderstood();
    for (const line of lines) receive(checked(line));
  }
}

function checked(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw notUnderstood();
  }
  if (isRecord(value) && value.error !== undefined) throw errorFromBody(value.error);
  if (!isRecord(value) || value.schema !== 1 || typeof value.kind !== "string") {
    throw notUnderstood();
  }
  return line;
}

function notUnderstood(): TsweaveError {
  return new TsweaveError("BAD_MESSAGE", "the daemon's events are not understood", {
    hint: "use the same version as the running daemon, or restart it",
  });
}
