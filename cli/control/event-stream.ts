/**
 * Events over the control socket: the held ones, then each new one, a JSON object a line.
 *
 * Law: a reader that does not keep up is told so and cut off; it costs the daemon a bounded amount
 * of memory and no waiting.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TsweaveError } from "../../mesh/index.ts";
import type { MeshEvent } from "../events/event.ts";
import type { EventSource } from "../events/event-log.ts";
import { SCHEMA } from "./api.ts";
import { errorToBody } from "./error-body.ts";

/** What a follower may leave unread, beyond the events it asked for at the start. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
/** How long a reader that was cut off has to read the note. */
const FAREWELL_MS = 10_000;
const FOLLOWERS_MAX = 32;

/** BOUNDED: FOLLOWERS_MAX. */
const followers = new WeakMap<EventSource, Set<ServerResponse>>();

/** @throws TsweaveError BAD_REQUEST */
export function streamEvents(
  source: EventSource,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { ageMs, follow } = wishOf(request.url ?? "");
  const present = followers.get(source) ?? new Set();
  followers.set(source, present);
  if (follow && present.size >= FOLLOWERS_MAX) {
    throw new TsweaveError("BAD_REQUEST", `${FOLLOWERS_MAX} readers follow the events already`);
  }
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
  for (const event of source.since(ageMs)) response.write(lineOf(event));
  if (!follow) {
    response.end();
    return;
  }
  const allowed = response.writableLength + BACKLOG_BYTES_MAX;
  const cancel = source.follow((event) => {
    if (response.writableLength <= allowed) response.write(lineOf(event));
    else cutOff(response, event.seq, end);
  });
  const end = (): void => {
    cancel();
    present.delete(response);
  };
  present.add(response);
  response.once("close", end);
}

function cutOff(response: ServerResponse, seq: number, end: () => void): void {
  end();
  const error = new TsweaveError(
    "TIMED_OUT",
    `too slow a reader: events from ${seq} on are left out`,
    {
      hint: "tsweave events --since 10m",
    },
  );
  response.end(`${JSON.stringify({ schema: SCHEMA, error: errorToBody(error) })}\n`);
  const timer = setTimeout(() => response.destroy(), FAREWELL_MS);
  response.once("close", () => clearTimeout(timer));
}

function lineOf(event: MeshEvent): string {
  return `${JSON.stringify({ schema: SCHEMA, ...event })}\n`;
}

function wishOf(url: string): { readonly ageMs: number; readonly follow: boolean } {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  for (const name of query.keys()) {
    if (name === "age-ms" || name === "follow") continue;
    throw new TsweaveError("BAD_REQUEST", `events know no '${name.slice(0, 64)}'`);
  }
  const age = query.get("age-ms");
  if (age !== null && !/^[0-9]{1,12}$/.test(age)) {
    throw new TsweaveError("BAD_REQUEST", "age-ms is a number of milliseconds");
  }
  const follow = query.get("follow") ?? "0";
  if (follow !== "0" && follow !== "1") throw new TsweaveError("BAD_REQUEST", "follow is 0 or 1");
  return { ageMs: age === null ? Number.POSITIVE_INFINITY : Number(age), follow: follow === "1" };
}
