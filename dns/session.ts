/**
 * One hooked sandbox at work: messages come in over UDP and TCP, replies go out.
 *
 * Law: nothing one container sends can hold more than its own bounded share of memory.
 */
import {
  type Cancel,
  type Clock,
  type HostPort,
  LIMITS,
  type Random,
  TIMES,
} from "../mesh/index.ts";
import { type Asker, answer, type Transport } from "./answer.ts";
import { Forwarder } from "./forwarder.ts";
import type { SandboxSockets, StreamPeer } from "./sandbox.ts";
import { StreamClient } from "./stream-client.ts";
import type { Zone } from "./zone.ts";

/** What a session reads at each query, so that changes take effect at once. */
export interface SessionView {
  zone(): Zone;
  asker(): Asker;
  /** Whether every known network of the sandbox is internal. */
  internal(): boolean;
  /** Forwarded questions stay without any reply. */
  deaf(): void;
}

/** Queries by outcome since the start; `failed` are SERVFAILs given for want of an answer. */
export interface DnsCounters {
  answered: number;
  forwarded: number;
  rejected: number;
  failed: number;
}

export class Session {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sockets: SandboxSockets;
  readonly #view: SessionView;
  readonly #counters: DnsCounters;
  readonly #forwarder: Forwarder;
  readonly #subscriptions: readonly Cancel[];
  /** BOUNDED: LIMITS.dnsTcpConnectionsMax; one more is closed at accept. */
  readonly #clients = new Set<StreamClient>();

  /** Serves the sockets from now on until `close`. */
  constructor(
    ports: { readonly clock: Clock; readonly random: Random },
    sockets: SandboxSockets,
    view: SessionView,
    counters: DnsCounters,
  ) {
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#sockets = sockets;
    this.#view = view;
    this.#counters = counters;
    this.#forwarder = new Forwarder(
      { ...ports, upstream: sockets.upstream },
      {
        timeoutMs: () => (view.internal() ? TIMES.dnsForwardInternalMs : TIMES.dnsForwardMs),
        onDeaf: () => view.deaf(),
      },
    );
    this.#subscriptions = [
      sockets.udp.onPacket((from, packet) => this.#fromUdp(from, packet)),
      sockets.onConnection((peer) => this.#accept(peer)),
    ];
  }

  /** Whether Docker's resolver has answered through this session. */
  get heard(): boolean {
    return this.#forwarder.heard;
  }

  /** Fails what is in flight and closes the sockets. */
  async close(): Promise<void> {
    this.#forwarder.close();
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
    const asker = this.#view.asker();
    const outcome = answer(packet, transport, asker, this.#view.zone(), this.#random);
    if (outcome.kind === "drop") {
      this.#counters.rejected += 1;
      return false;
    }
    if (outcome.kind === "forward") {
      this.#forwarder.ask(outcome.query, transport, (bytes, relayed) => {
        this.#counters[relayed ? "forwarded" : "failed"] += 1;
        reply(bytes);
      });
      return true;
    }
    this.#counters[outcome.kind === "reply" ? "answered" : "rejected"] += 1;
    reply(outcome.bytes);
    return true;
  }
}
