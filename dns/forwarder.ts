/**
 * Relays what is not ours to Docker's resolver of the same sandbox and back.
 *
 * Law: every question gets exactly one reply, SERVFAIL at the latest; a reply is believed only
 * from Docker's address, under an id we chose, for the question we asked. The same question from
 * several clients goes out once, which also ends a loop where a resolver leads back here.
 */
import {
  type Cancel,
  type Clock,
  type HostPort,
  LIMITS,
  type Random,
  TIMES,
} from "../mesh/index.ts";
import { bytesMax, type Transport } from "./answer.ts";
import { putU16, type Query, RCODE, u16 } from "./codec.ts";
import { offerLargeReplies } from "./edns.ts";
import { ForwardCache } from "./forward-cache.ts";
import { addressed, asAsked, repliesTo } from "./relayed.ts";
import { encodeError } from "./reply.ts";
import type { DatagramDoor } from "./sandbox.ts";

/** Docker's embedded resolver, as every container sees it. */
const RESOLVER: HostPort = { host: "127.0.0.11", port: 53 };

/** Unanswered questions in a row that mean the path to the resolver itself is broken. */
const DEAF_AFTER = 3;

/** How a question that is not ours ended; the last two where nobody else is asked. */
export type Fate = "relayed" | "cached" | "failed" | "answered" | "refused";
export type Done = (reply: Uint8Array, fate: Fate) => void;

interface Flight {
  readonly key: string;
  /** The first client's; the others' differ in the id only. */
  readonly query: Query;
  readonly transport: Transport;
  /** BOUNDED: with those of the other flights, LIMITS.dnsInflightPerSandboxMax. */
  readonly clients: { readonly query: Query; readonly done: Done }[];
  readonly id: number;
  readonly cancelTimer: Cancel;
  /** When it was last sent; undefined as long as it waits for its turn. */
  sentMs: number | undefined;
}

export class Forwarder {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #upstream: DatagramDoor;
  readonly #timeoutMs: () => number;
  readonly #onDeaf: () => void;
  readonly #cache = new ForwardCache();
  /** BOUNDED: LIMITS.dnsInflightPerSandboxMax; one more client is answered SERVFAIL. */
  readonly #flights = new Map<number, Flight>();
  /** BOUNDED: as #flights. */
  readonly #byQuestion = new Map<string, Flight>();
  /** Those not sent yet, in order. BOUNDED: as #flights. */
  readonly #queue = new Set<Flight>();
  /** Those sent a moment ago, in order. BOUNDED: LIMITS.dnsForwardAtOnceMax. */
  readonly #young = new Set<Flight>();
  readonly #unsubscribe: Cancel;
  #cancelTurn: Cancel | undefined;
  #clients = 0;
  #silences = 0;
  #heard = false;
  #closed = false;

  constructor(
    ports: { readonly clock: Clock; readonly random: Random; readonly upstream: DatagramDoor },
    options: { readonly timeoutMs: () => number; readonly onDeaf: () => void },
  ) {
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#upstream = ports.upstream;
    this.#timeoutMs = options.timeoutMs;
    this.#onDeaf = options.onDeaf;
    this.#unsubscribe = this.#upstream.onPacket((from, packet) => this.#receive(from, packet));
  }

  /** Whether Docker's resolver has ever answered here. */
  get heard(): boolean {
    return this.#heard;
  }

  /** Asks Docker's resolver; `done` is called once, now or later. */
  ask(query: Query, transport: Transport, done: Done): void {
    const kept = this.#cache.get(query, bytesMax(query, transport), this.#clock.nowMs());
    if (kept !== undefined) {
      done(kept, "cached");
      return;
    }
    const tooLong = query.packet.length > LIMITS.dnsMessageBytesMax;
    if (this.#closed || tooLong || this.#clients >= LIMITS.dnsInflightPerSandboxMax) {
      done(encodeError(query, RCODE.servFail), "failed");
      return;
    }
    this.#clients += 1;
    const key = questionKey(query, transport);
    const same = this.#byQuestion.get(key);
    if (same !== undefined) {
      same.clients.push({ query, done });
      this.#askAgain(same);
      return;
    }
    const id = this.#freeId();
    const cancelTimer = this.#clock.timer("dns-forward", this.#timeoutMs(), () => this.#expire(id));
    const clients = [{ query, done }];
    const flight = { key, query, transport, clients, id, cancelTimer, sentMs: undefined };
    this.#flights.set(id, flight);
    this.#byQuestion.set(key, flight);
    this.#queue.add(flight);
    this.#nextTurn();
  }

  /** Answers what is in flight with SERVFAIL and every later question too. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    this.#cancelTurn?.();
    this.#queue.clear();
    for (const id of [...this.#flights.keys()]) this.#fail(id);
  }

  #receive(from: HostPort, packet: Uint8Array): void {
    if (from.host !== RESOLVER.host || from.port !== RESOLVER.port) return;
    const id = u16(packet, 0);
    const flight = this.#flights.get(id);
    if (flight?.sentMs === undefined || !repliesTo(flight.query, packet)) return;
    this.#heard = true;
    this.#silences = 0;
    const reply = asAsked(flight.query, flight.transport, packet);
    if (reply === undefined) {
      this.#fail(id);
      return;
    }
    this.#cache.put(flight.query, reply, this.#clock.nowMs());
    this.#land(id);
    for (const { query, done } of flight.clients) done(addressed(reply, query), "relayed");
  }

  #expire(id: number): void {
    const flight = this.#flights.get(id);
    this.#fail(id);
    if (flight?.sentMs === undefined) return;
    this.#silences += flight.clients.length;
    if (this.#silences < DEAF_AFTER) return;
    this.#silences = 0;
    this.#onDeaf();
  }

  #fail(id: number): void {
    const clients = this.#land(id)?.clients ?? [];
    for (const { query, done } of clients) done(encodeError(query, RCODE.servFail), "failed");
  }

  #land(id: number): Flight | undefined {
    const flight = this.#flights.get(id);
    if (flight === undefined) return undefined;
    this.#flights.delete(id);
    this.#byQuestion.delete(flight.key);
    this.#queue.delete(flight);
    this.#young.delete(flight);
    this.#clients -= flight.clients.length;
    flight.cancelTimer();
    this.#nextTurn();
    return flight;
  }

  /** Sends what waits as far as there is room: what is sent for long waits for somebody else. */
  #nextTurn(): void {
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
    const nowMs = this.#clock.nowMs();
    for (const flight of this.#queue) {
      const dueMs = this.#roomMs(nowMs);
      if (dueMs > 0) {
        this.#cancelTurn = this.#clock.timer("dns-turn", dueMs, () => this.#nextTurn());
        return;
      }
      this.#queue.delete(flight);
      this.#young.add(flight);
      this.#send(flight, nowMs);
    }
  }

  /** How long until one more may be sent, 0: now. */
  #roomMs(nowMs: number): number {
    for (const flight of this.#young) {
      if (this.#young.size < LIMITS.dnsForwardAtOnceMax) break;
      const leftMs = (flight.sentMs ?? nowMs) + TIMES.dnsForwardYoungMs - nowMs;
      if (leftMs > 0) return leftMs;
      this.#young.delete(flight);
    }
    return 0;
  }

  /** A client that asks again may be right that the question or its answer was lost. */
  #askAgain(flight: Flight): void {
    const nowMs = this.#clock.nowMs();
    if (flight.sentMs === undefined || nowMs - flight.sentMs < TIMES.dnsForwardAgainMs) return;
    this.#send(flight, nowMs);
  }

  #send(flight: Flight, nowMs: number): void {
    const { query, transport, id } = flight;
    const packet = transport === "tcp" ? offerLargeReplies(query) : Uint8Array.from(query.packet);
    putU16(packet, 0, id);
    flight.sentMs = nowMs;
    this.#upstream.send(RESOLVER, packet);
  }

  /** The map holds at most 2048 of the 65 536 ids, so this ends soon. */
  #freeId(): number {
    let id = this.#random.u32() & 0xffff;
    while (this.#flights.has(id)) id = (id + 1) & 0xffff;
    return id;
  }
}

/** All of a query but its id. */
function questionKey({ packet }: Query, transport: Transport): string {
  const rest = Buffer.from(packet.buffer, packet.byteOffset + 2, packet.length - 2);
  return `${transport} ${rest.toString("latin1")}`;
}
