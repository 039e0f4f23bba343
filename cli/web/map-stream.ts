/**
 * The map's live side: server-sent events, a snapshot and then what changed.
 *
 * Law: nobody looking costs nothing; looking costs at most a fiftieth of the time. Each reader is
 * owed at most one message: one that has not read the last gets a fresh snapshot later instead of
 * a queue, and one that does not read at all is dropped.
 */
import type { ServerResponse } from "node:http";
import { type Cancel, type Clock, type Log, messageOf } from "../../mesh/index.ts";
import { type MapFacts, mapModel } from "./map-model.ts";
import { changesBetween } from "./page/changes.ts";
import type { MapModel } from "./page/model.ts";

export const READERS_MAX = 16;
const LOOK_MS = 1000;
const DUTY = 50;
/** A quiet stream says so: a page that hears nothing for 25 s calls its picture old. */
const BEAT_MS = 10_000;
/** How long a reader may leave a message unread. */
const STALL_MS = 15_000;

interface Reader {
  readonly response: ServerResponse;
  /** Since when a message lies unread. */
  stalledMs: number | undefined;
  /** Whether it missed a change, so that it needs a snapshot. */
  missed: boolean;
  saidMs: number;
}

export interface MapStreamPorts {
  readonly facts: MapFacts;
  readonly clock: Clock;
  readonly log: Log;
}

/** One event as text/event-stream frames it. JSON has no raw line end, so it is one data line. */
export function frame(event: "snapshot" | "changes" | "beat", data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export class MapStream {
  readonly #ports: MapStreamPorts;
  /** BOUNDED: READERS_MAX. */
  readonly #readers = new Set<Reader>();
  #shown: MapModel | undefined;
  #cancel: Cancel | undefined;

  constructor(ports: MapStreamPorts) {
    this.#ports = ports;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Answers with the stream; false, with nothing done, when there are too many readers. */
  add(response: ServerResponse): boolean {
    if (this.#readers.size >= READERS_MAX) return false;
    // What all the others have: the next changes count from there.
    const snapshot = this.#shown ?? mapModel(this.#ports.facts);
    this.#shown = snapshot;
    const nowMs = this.#ports.clock.nowMs();
    const reader: Reader = { response, stalledMs: undefined, missed: false, saidMs: nowMs };
    this.#readers.add(reader);
    response.once("close", () => this.#readers.delete(reader));
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-accel-buffering": "no",
    });
    response.write(frame("snapshot", snapshot));
    this.#cancel ??= this.#ports.clock.timer("map", LOOK_MS, () => this.#look());
    return true;
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const { response } of this.#readers) response.destroy();
    this.#readers.clear();
  }

  #look(): void {
    this.#cancel = undefined;
    if (this.#readers.size === 0) {
      this.#shown = undefined;
      return;
    }
    const { clock, log } = this.#ports;
    const startMs = clock.nowMs();
    try {
      this.#tell(startMs);
    } catch (error) {
      log.warn({ error: messageOf(error) }, "the map could not be brought up to date");
    }
    const nextMs = Math.max(LOOK_MS, DUTY * (clock.nowMs() - startMs));
    this.#cancel = clock.timer("map", nextMs, () => this.#look());
  }

  #tell(nowMs: number): void {
    const before = this.#shown;
    const model = mapModel(this.#ports.facts);
    this.#shown = model;
    const changes = before === undefined ? undefined : changesBetween(before, model);
    const texts = {
      changes: changes === undefined ? undefined : frame("changes", changes),
      snapshot: undefined as string | undefined,
    };
    for (const reader of [...this.#readers]) {
      if (isReading(reader, nowMs)) {
        if (reader.missed) texts.snapshot ??= frame("snapshot", model);
        const isBeat = nowMs - reader.saidMs >= BEAT_MS;
        const news = reader.missed ? texts.snapshot : texts.changes;
        say(reader, news ?? (isBeat ? frame("beat", {}) : undefined), nowMs);
      } else {
        reader.missed ||= changes !== undefined;
        if (nowMs - (reader.stalledMs ?? nowMs) >= STALL_MS) this.#drop(reader);
      }
    }
  }

  #drop(reader: Reader): void {
    this.#readers.delete(reader);
    reader.response.destroy();
    this.#ports.log.debug({}, "a reader of the map that does not read was dropped");
  }
}

function isReading(reader: Reader, nowMs: number): boolean {
  const isEmpty = !reader.response.writableNeedDrain;
  reader.stalledMs = isEmpty ? undefined : (reader.stalledMs ?? nowMs);
  return isEmpty;
}

function say(reader: Reader, text: string | undefined, nowMs: number): void {
  if (text === undefined) return;
  reader.response.write(text);
  reader.saidMs = nowMs;
  reader.missed = false;
}
