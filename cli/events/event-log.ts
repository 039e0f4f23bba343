/**
 * The daemon's memory of what happened, and who follows it.
 *
 * Law: bounded, and never in anyone's way: the oldest events go, and a follower that throws costs
 * itself alone.
 */
import { type Cancel, type Clock, type Log, messageOf } from "../../mesh/index.ts";
import type { EventKind, MeshEvent } from "./event.ts";

/** A day of a busy host; about two megabytes. */
export const EVENTS_MAX = 4096;

/** What the control API reads. */
export interface EventSource {
  /** Held events of the last `ageMs`, the oldest first. */
  readonly since: (ageMs: number) => readonly MeshEvent[];
  /** Calls `receive` with each new event. */
  readonly follow: (receive: (event: MeshEvent) => void) => Cancel;
}

interface Held {
  readonly atMs: number;
  readonly event: MeshEvent;
}

export class EventLog implements EventSource {
  readonly #clock: Clock;
  readonly #log: Log;
  /** BOUNDED: twice EVENTS_MAX, then the older half goes. */
  #held: Held[] = [];
  /** BOUNDED: the control server's limit of followers. */
  readonly #followers = new Set<(event: MeshEvent) => void>();
  #seq = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  add(kind: EventKind, text: string, details: MeshEvent["details"] = {}): void {
    this.#seq += 1;
    const time = new Date(this.#clock.wallMs()).toISOString();
    const event: MeshEvent = { seq: this.#seq, time, kind, text, details };
    this.#held.push({ atMs: this.#clock.nowMs(), event });
    if (this.#held.length >= 2 * EVENTS_MAX) this.#held = this.#held.slice(-EVENTS_MAX);
    for (const receive of [...this.#followers]) {
      try {
        receive(event);
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, "a reader of events is dropped");
        this.#followers.delete(receive);
      }
    }
  }

  /** Ages are measured by the monotonic clock: a wall clock that jumps hides nothing. */
  readonly since = (ageMs: number): readonly MeshEvent[] => {
    const fromMs = this.#clock.nowMs() - ageMs;
    return this.#held
      .slice(-EVENTS_MAX)
      .filter(({ atMs }) => atMs >= fromMs)
      .map(({ event }) => event);
  };

  readonly follow = (receive: (event: MeshEvent) => void): Cancel => {
    this.#followers.add(receive);
    return () => this.#followers.delete(receive);
  };
}
