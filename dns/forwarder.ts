/**
 * Relays what is not ours to Docker's resolver of the same sandbox and back.
 *
 * Law: every question gets exactly one reply, SERVFAIL at the latest; a reply is believed only
 * from Docker's address, under an id we chose, for the question we asked.
 */
import { type Cancel, type Clock, type HostPort, LIMITS, type Random } from "../mesh/index.ts";
import type { Transport } from "./answer.ts";
import { FLAG, HEADER_BYTES, putU16, type Query, RCODE, u16 } from "./codec.ts";
import { offerLargeReplies, withoutEdns } from "./edns.ts";
import { encodeError } from "./reply.ts";
import type { DatagramDoor } from "./sandbox.ts";

/** Docker's embedded resolver, as every container sees it. */
const RESOLVER: HostPort = { host: "127.0.0.11", port: 53 };

/** Unanswered questions in a row that mean the path to the resolver itself is broken. */
const DEAF_AFTER = 3;

interface Flight {
  readonly query: Query;
  readonly transport: Transport;
  readonly done: (reply: Uint8Array, relayed: boolean) => void;
  readonly cancelTimer: Cancel;
}

export class Forwarder {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #upstream: DatagramDoor;
  readonly #timeoutMs: () => number;
  readonly #onDeaf: () => void;
  /** BOUNDED: LIMITS.dnsInflightPerSandboxMax; one more is answered SERVFAIL. */
  readonly #flights = new Map<number, Flight>();
  readonly #unsubscribe: Cancel;
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

  /**
   * Asks Docker's resolver. `done` is called once, with its reply under the client's id
   * (`relayed`) or with SERVFAIL.
   */
  ask(query: Query, transport: Transport, done: Flight["done"]): void {
    const tooLong = query.packet.length > LIMITS.dnsMessageBytesMax;
    if (this.#closed || tooLong || this.#flights.size >= LIMITS.dnsInflightPerSandboxMax) {
      done(encodeError(query, RCODE.servFail), false);
      return;
    }
    const id = this.#freeId();
    const packet = transport === "tcp" ? offerLargeReplies(query) : Uint8Array.from(query.packet);
    putU16(packet, 0, id);
    const cancelTimer = this.#clock.timer("dns-forward", this.#timeoutMs(), () => this.#expire(id));
    this.#flights.set(id, { query, transport, done, cancelTimer });
    this.#upstream.send(RESOLVER, packet);
  }

  /** Answers what is in flight with SERVFAIL and every later question too. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    for (const id of [...this.#flights.keys()]) this.#fail(id);
  }

  #receive(from: HostPort, packet: Uint8Array): void {
    if (from.host !== RESOLVER.host || from.port !== RESOLVER.port) return;
    const id = u16(packet, 0);
    const flight = this.#flights.get(id);
    if (flight === undefined || !repliesTo(flight.query, packet)) return;
    this.#heard = true;
    this.#silences = 0;
    const reply = forClient(flight, packet);
    if (reply === undefined) {
      this.#fail(id);
      return;
    }
    this.#land(id);
    flight.done(reply, true);
  }

  #expire(id: number): void {
    this.#fail(id);
    this.#silences += 1;
    if (this.#silences < DEAF_AFTER) return;
    this.#silences = 0;
    this.#onDeaf();
  }

  #fail(id: number): void {
    const flight = this.#land(id);
    flight?.done(encodeError(flight.query, RCODE.servFail), false);
  }

  #land(id: number): Flight | undefined {
    const flight = this.#flights.get(id);
    this.#flights.delete(id);
    flight?.cancelTimer();
    return flight;
  }

  /** The map holds at most 256 of the 65 536 ids, so this ends at once. */
  #freeId(): number {
    let id = this.#random.u32() & 0xffff;
    while (this.#flights.has(id)) id = (id + 1) & 0xffff;
    return id;
  }
}

/** Whether a packet is a reply to this question; servers may leave it out of an error. */
function repliesTo(query: Query, packet: Uint8Array): boolean {
  if (packet.length < HEADER_BYTES) return false;
  const flags = u16(packet, 2);
  if ((flags & FLAG.response) === 0 || (flags & FLAG.opcodeMask) !== 0) return false;
  const questions = u16(packet, 4);
  if (questions === 0) return (flags & FLAG.rcodeMask) !== 0;
  if (questions !== 1 || packet.length < query.questionEnd) return false;
  for (let at = HEADER_BYTES; at < query.questionEnd; at += 1) {
    if (foldByte(packet[at]) !== foldByte(query.packet[at])) return false;
  }
  return true;
}

/** Length bytes end at 63, below the letters, so folding every byte is safe. */
function foldByte(byte = 0): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The reply as the client expects it: its id, and no OPT that it did not ask for. */
function forClient(flight: Flight, packet: Uint8Array): Uint8Array | undefined {
  const { query, transport } = flight;
  const addedEdns = transport === "tcp" && query.edns === undefined;
  const reply = addedEdns ? withoutEdns(packet, query) : packet;
  if (reply === undefined) return undefined;
  const copy = Uint8Array.from(reply);
  putU16(copy, 0, query.id);
  return copy;
}
