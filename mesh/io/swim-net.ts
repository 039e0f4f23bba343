/**
 * Stands in for the package's own Net: our packets over the Datagrams port, with gossip riding on
 * every probe, in datagrams whose size is counted right.
 *
 * Law: the package opens no socket and parses no byte from the wire; it is handed only messages
 * that were decoded, validated and expected. An answer goes where its question came from.
 */
import { EventEmitter } from "node:events";
import type { MemberData } from "swim/lib/member.js";
import type { AckLedger } from "../membership/ack-ledger.ts";
import type { Sender } from "../membership/exchange.ts";
import {
  encodeMessage,
  encodePackets,
  type Header,
  type Message,
  roomIn,
} from "../membership/packet.ts";
import type { Life } from "../membership/record.ts";
import type { Clock, Datagrams, HostPort, PeerId } from "../ports.ts";
import { recordOf } from "./swim-data.ts";

/** The package's numbers for the messages it sends. */
const SWIM_TYPE = { ping: 10, pingReq: 11, ack: 13, update: 14 } as const;

interface Ports {
  readonly datagrams: Datagrams;
  readonly clock: Clock;
}

interface Mesh {
  readonly ledger: AckLedger;
  /** This process, as senders name themselves. */
  self(): Life & { readonly id: PeerId };
  addressOf(peer: PeerId): HostPort | undefined;
  /** Encoded updates that fit into so many bytes, two bytes of prefix each counted. */
  gossip(bytes: number): readonly Uint8Array[];
}

export class SwimNet extends EventEmitter implements Sender {
  readonly #ports: Ports;
  readonly #mesh: Mesh;
  /** Whose packet is being handled, and where it came from. */
  #asker: { readonly peer: PeerId; readonly from: HostPort } | undefined;

  constructor(ports: Ports, mesh: Mesh) {
    super();
    this.#ports = ports;
    this.#mesh = mesh;
  }

  /** Called by the package; the engine listens. */
  listen(callback: () => void): void {
    callback();
  }

  /** Called by the package. */
  close(): void {}

  /** Called by the package: a probe, an ack or a reminder, with gossip in the room that is left. */
  sendMessage(sent: { readonly type: number; readonly data: unknown }, peer: PeerId): void {
    const message = outgoing(sent.type, sent.data);
    if (message !== undefined) this.#sendMessage(message, peer);
  }

  /** A direct probe, to `at` or else to the address in use. */
  ping(seq: number, peer: PeerId, at?: HostPort): void {
    this.#sendMessage({ type: "ping", seq }, peer, at);
  }

  #sendMessage(message: Message, peer: PeerId, at?: HostPort): void {
    const asker = this.#asker?.peer === peer ? this.#asker.from : undefined;
    const to = at ?? asker ?? this.#mesh.addressOf(peer);
    if (to === undefined) return;
    if (message.type === "ping" || message.type === "pingReq") {
      const sentMs = this.#ports.clock.nowMs();
      const relayed = message.type === "pingReq";
      const probe = { peer, sentMs, relayed };
      this.#mesh.ledger.sent(message.seq, relayed ? probe : { ...probe, at: to });
    }
    const first = encodeMessage(message);
    const header = this.#header(peer);
    const gossip = this.#mesh.gossip(roomIn(header) - first.length - 2);
    this.#sendPackets(to, encodePackets(header, [first, ...gossip]));
  }

  /** Called by the package where it sends lists; ours go another way, each is sent by itself. */
  sendMessages(sent: readonly { type: number; data: unknown }[], peer: PeerId): void {
    for (const message of sent) this.sendMessage(message, peer);
  }

  send(
    to: HostPort,
    target: PeerId | null,
    messages: readonly Uint8Array[],
    prefix: readonly Uint8Array[] = [],
  ): void {
    this.#sendPackets(to, encodePackets(this.#header(target), messages, prefix));
  }

  sendAll(to: readonly HostPort[], messages: readonly Uint8Array[]): void {
    for (const address of to) this.send(address, null, messages);
  }

  /** Hands the package one message of `peer`'s packet, if it is one that it awaits. */
  deliver(message: Message, peer: PeerId, from: HostPort): void {
    this.#asker = { peer, from };
    try {
      if (message.type === "ping") {
        this.emit("ping", { seq: message.seq }, peer);
      } else if (message.type === "pingReq") {
        if (this.#mesh.addressOf(message.destination) !== undefined) {
          this.emit("pingreq", { seq: message.seq, destination: message.destination }, peer);
        }
      } else if (message.type === "ack") {
        const nowMs = this.#ports.clock.nowMs();
        if (this.#mesh.ledger.acked(message.seq, peer, nowMs)) {
          this.emit("ack", { seq: message.seq }, peer);
        }
      }
    } finally {
      this.#asker = undefined;
    }
  }

  #header(target: PeerId | null): Header {
    const { id, era, incarnation, boot } = this.#mesh.self();
    return { sender: id, era, incarnation, boot, target };
  }

  #sendPackets(to: HostPort, packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.#ports.datagrams.send(to, packet);
  }
}

function outgoing(type: number, data: unknown): Message | undefined {
  const fields = data as { seq: number; destination: PeerId };
  switch (type) {
    case SWIM_TYPE.ping:
      return { type: "ping", seq: fields.seq };
    case SWIM_TYPE.ack:
      return { type: "ack", seq: fields.seq };
    case SWIM_TYPE.pingReq:
      return { type: "pingReq", seq: fields.seq, destination: fields.destination };
    case SWIM_TYPE.update:
      return { type: "update", record: recordOf(data as MemberData) };
    default:
      return undefined;
  }
}
