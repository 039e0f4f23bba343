/**
 * The engine's event stream, followed for ever: reconnects with growing pauses.
 *
 * Law: whoever listens is told of every (re)connection, because events between two connections
 * are lost and only a full comparison makes up for them.
 */
import type { IncomingMessage } from "node:http";
import {
  type Cancel,
  type Clock,
  type EngineEvent,
  LIMITS,
  type Log,
  messageOf,
  TIMES,
} from "../../mesh/index.ts";
import type { EngineHttp } from "./engine-http.ts";
import { readEvent } from "./engine-shapes.ts";

type Receiver = (event: EngineEvent) => void;

const TYPES = JSON.stringify({ type: ["container", "network"] });
const PATH = `/events?filters=${encodeURIComponent(TYPES)}`;

export class EngineEvents {
  readonly #http: EngineHttp;
  readonly #clock: Clock;
  readonly #log: Log;
  /** BOUNDED: one per subscriber in the code. */
  readonly #receivers = new Set<Receiver>();
  #stream: IncomingMessage | undefined;
  #cancelRetry: Cancel | undefined;
  #retryMs: number = TIMES.engineRetryMs;
  /** Rises when the last subscriber goes, so that a connection on its way is dropped. */
  #life = 0;

  constructor(http: EngineHttp, clock: Clock, log: Log) {
    this.#http = http;
    this.#clock = clock;
    this.#log = log;
  }

  /** Follows events until cancelled; the first subscriber opens the stream, the last closes it. */
  subscribe(receive: Receiver): Cancel {
    const own: Receiver = (event) => receive(event);
    this.#receivers.add(own);
    if (this.#receivers.size === 1) this.#connect(this.#life);
    else if (this.#stream !== undefined) own(connection("connected"));
    return () => {
      if (!this.#receivers.delete(own) || this.#receivers.size > 0) return;
      this.#life += 1;
      this.#cancelRetry?.();
      this.#stream?.destroy();
      this.#stream = undefined;
    };
  }

  #connect(life: number): void {
    this.#http
      .open(PATH, TIMES.engineCallMs)
      .then((stream) => {
        if (life === this.#life) this.#follow(stream, life);
        else stream.destroy();
      })
      .catch((error: unknown) => {
        this.#log.debug({ reason: messageOf(error) }, "no event stream of the engine");
        this.#retry(life);
      });
  }

  #follow(stream: IncomingMessage, life: number): void {
    this.#stream = stream;
    this.#retryMs = TIMES.engineRetryMs;
    const split = lineSplitter((line) => this.#line(line));
    stream.on("data", (bytes: Buffer) => {
      if (!split(bytes)) stream.destroy(new Error("an event is too long"));
    });
    stream.on("error", (error) => {
      this.#log.info({ reason: messageOf(error) }, "the engine's event stream broke");
    });
    stream.on("close", () => {
      if (life !== this.#life) return;
      this.#stream = undefined;
      this.#deliver(connection("disconnected"));
      this.#retry(life);
    });
    this.#deliver(connection("connected"));
  }

  #retry(life: number): void {
    if (life !== this.#life) return;
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(2 * delayMs, TIMES.engineRetryMsMax);
    this.#cancelRetry = this.#clock.timer("engine events", delayMs, () => this.#connect(life));
  }

  #line(line: string): void {
    try {
      const event = readEvent(JSON.parse(line));
      if (event !== undefined) this.#deliver(event);
    } catch (error) {
      this.#log.warn({ reason: messageOf(error) }, "skipped an event of the engine");
    }
  }

  #deliver(event: EngineEvent): void {
    for (const receive of [...this.#receivers]) receive(event);
  }
}

function connection(type: "connected" | "disconnected"): EngineEvent {
  return { type, action: "", id: "", attributes: {} };
}

/** Feeds whole lines on; false when a line exceeds LIMITS.engineEventBytesMax. */
export function lineSplitter(take: (line: string) => void): (bytes: Buffer) => boolean {
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = rest.subarray(0, end).toString("utf8").trim();
      rest = rest.subarray(end + 1);
      if (line !== "") take(line);
    }
    return rest.length <= LIMITS.engineEventBytesMax;
  };
}
