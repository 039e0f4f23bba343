/**
 * Sockets that queries come in on at work: messages over UDP and TCP in, replies out.
 *
 * Law: nothing one client side sends can hold more than its own bounded share of memory and of
 * the daemon's time.
 */
import { type Cancel, type Clock, type HostPort, LIMITS, type Random } from "../mesh/index.ts";
import { answer, type Transport } from "./answer.ts";
import type { Query } from "./codec.ts";
import type { Done, Fate } from "./forwarder.ts";
import type { Asker } from "./lookup.ts";
import { QueryRate } from "./rate.ts";
import type { HostSockets, StreamPeer } from "./sandbox.ts";
import { StreamClient } from "./stream-client.ts";
import type { Zone } from "./zone.ts";

/** What a session reads at each query, so that changes take effect at once. */
export interface SessionView {
  readonly zone: Zone;
  asker(): Asker;
}

/** Who answers what is not ours. */
export interface Elsewhere {
  /** Calls `done` once, now or later. */
  ask(query: Query, transport: Transport, done: Done): void;
  /** Ends what is under way. */
  close(): void;
}

/** Queries by outcome since the start. */
export interface DnsCounters {
  /** From the zone. */
  answered: number;
  /** By Docker's resolver. */
  forwarded: number;
  /** From what Docker's resolver said a moment ago. */
  cached: number;
  /** Malformed, or not for this server. */
  rejected: number;
  /** SERVFAILs given for want of an answer. */
  failed: number;
  /** Above the rate of one sandbox, dropped. */
  limited: number;
}

const COUNTED = {
  relayed: "forwarded",
  cached: "cached",
  failed: "failed",
  answered: "answered",
  refused: "rejected",
} as const satisfies Readonly<Record<Fate, keyof DnsCounters>>;

export class Session {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sockets: HostSockets;
  readonly #view: SessionView;
  readonly #counters: DnsCounters;
  #elsewhere: Elsewhere;
  readonly #rate: QueryRate;
  readonly #subscriptions: readonly Cancel[];
  /** BOUNDED: LIMITS.dnsTcpConnectionsMax; one more is closed at accept. */
  readonly #clients = new Set<StreamClient>();

  /** Serves the sockets from now on until `close`, which also closes `elsewhere`. */
  constructor(
    ports: { readonly clock: Clock; readonly random: Random; readonly elsewhere: Elsewhere },
    sockets: HostSockets,
    view: SessionView,
    counters: DnsCounters,
  ) {
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#sockets = sockets;
    this.#view = view;
    this.#counters = counters;
    this.#elsewhere = ports.elsewhere;
    this.#rate = new QueryRate(ports.clock);
    this.#subscriptions = [
      sockets.udp.onPacket((from, packet) => this.#fromUdp(from, packet)),
      sockets.onConnection((peer) => this.#accept(peer)),
    ];
  }

  /** What is not ours goes to `elsewhere` from now on; fails what is in flight. */
  turnTo(elsewhere: Elsewhere): void {
    this.#elsewhere.close();
    this.#elsewhere = elsewhere;
  }

  /** Fails what is in flight and closes the sockets. */
  async close(): Promise<void> {
    this.#elsewhere.close();
    for (const cancel of this.#subscriptions) cancel();
    for (const client of [...this.#clients]) client.close();
    await this.#sockets.close();
  }

  #fromUdp(from: HostPort, packet: Uint8Array): void {
    this.#handle(packet, "udp", (reply) => this.#sockets.udp.send(from, reply));
  }

  #accept(peer: StreamPeer): void {
    if (this.#clients.size >= LIMITS.dnsTcpConnectionsMax) {
      peer.close();
      return;
    }
    const client: StreamClient = new StreamClient(
      this.#clock,
      peer,
      (message, reply) => this.#handle(message, "tcp", reply),
      () => this.#clients.delete(client),
    );
    this.#clients.add(client);
  }

  /** Calls `reply` once, now or later, and returns true; false: no reply. */
  #handle(packet: Uint8Array, transport: Transport, reply: (bytes: Uint8Array) => void): boolean {
    if (!this.#rate.take()) {
      this.#counters.limited += 1;
      return false;
    }
    const asker = this.#view.asker();
    const outcome = answer(packet, transport, asker, this.#view.zone, this.#random);
    if (outcome.kind === "drop") {
      this.#counters.rejected += 1;
      return false;
    }
    if (outcome.kind === "forward") {
      this.#elsewhere.ask(outcome.query, transport, (bytes, fate) => {
        this.#counters[COUNTED[fate]] += 1;
        reply(bytes);
      });
      return true;
    }
    this.#counters[outcome.kind === "reply" ? "answered" : "rejected"] += 1;
    reply(outcome.bytes);
    return true;
  }
}

/** Counters at the start. */
export function noQueries(): DnsCounters {
  return { answered: 0, forwarded: 0, cached: 0, rejected: 0, failed: 0, limited: 0 };
}
