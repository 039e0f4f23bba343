/**
 * What the native engine sends and how its bytes become packets: the short form for probes, full
 * packets for the rest, news riding on both.
 *
 * Law: no packet exceeds PACKET_BYTES_MAX; damage is counted and logged, never passed on.
 */
import type { Datagrams, HostPort, PeerId } from "../../ports.ts";
import type { Sender } from "../exchange.ts";
import { encodeMessage, encodePackets, type Header } from "../packet.ts";
import { lifeOf, type PeerRecord } from "../record.ts";
import type { Roster } from "../roster.ts";
import { PACKET_BYTES_MAX } from "../timing.ts";
import type { Rumours } from "./rumours.ts";
import { encodeShort, type Short, shortBytes } from "./short.ts";
import type { Tags } from "./tags.ts";

/** Room for the header of a full packet: two ids, two numbers of five bytes, some small ones. */
const HEADER_BYTES = 64;

interface Parts {
  readonly datagrams: Datagrams;
  readonly roster: Roster;
  readonly tags: Tags;
  readonly rumours: Rumours;
  self(): PeerRecord;
}

export class Post implements Sender {
  readonly #parts: Parts;
  /** What the layer above says of its state. */
  state: () => Uint8Array | undefined = () => undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  send(
    to: HostPort,
    target: PeerId | null,
    messages: readonly Uint8Array[],
    prefix: readonly Uint8Array[] = [],
  ): void {
    const self = this.#parts.self();
    const header: Header = { sender: self.meta.id, ...lifeOf(self), target };
    for (const packet of encodePackets(header, messages, prefix, "native")) {
      this.#parts.datagrams.send(to, packet);
    }
  }

  sendAll(to: readonly HostPort[], messages: readonly Uint8Array[]): void {
    const self = this.#parts.self();
    const { datagrams } = this.#parts;
    const header: Header = { sender: self.meta.id, ...lifeOf(self), target: null };
    for (const packet of encodePackets(header, messages, [], "native")) {
      if (datagrams.sendAll !== undefined) datagrams.sendAll(to, packet);
      else for (const address of to) datagrams.send(address, packet);
    }
  }

  /** A ping of a suspect carries the suspicion, so that its ack comes with the refutation. */
  ping(target: PeerRecord, seq: number): void {
    const buddy =
      target.state === "alive" ? [] : [encodeMessage({ type: "update", record: target })];
    this.#short("ping", target.meta.advertise, target.meta.id, seq, buddy);
  }

  answer(kind: "ack" | "nack", to: HostPort, peer: PeerId, seq: number): void {
    this.#short(kind, to, peer, seq, []);
  }

  askRelay(relay: PeerRecord, seq: number, target: PeerRecord, patienceMs: number): void {
    const { advertise, id } = relay.meta;
    const destination = this.#parts.tags.between(target.meta.id, id);
    if (destination === undefined) return;
    this.#short("pingReq", advertise, id, seq, [], { destination, patienceMs });
  }

  /** Sends the news that is due to one member. */
  gossip({ meta }: PeerRecord): void {
    const news = this.#parts.rumours.take(PACKET_BYTES_MAX - HEADER_BYTES);
    if (news.length > 0) this.send(meta.advertise, meta.id, news);
  }

  #short(
    kind: Short["kind"],
    to: HostPort,
    peer: PeerId,
    seq: number,
    first: readonly Uint8Array[],
    relay: Pick<Short, "destination" | "patienceMs"> = {},
  ): void {
    const { tags, roster, rumours, datagrams } = this.#parts;
    const pair = tags.to(peer);
    if (pair === undefined) return;
    const used = first.reduce((sum, bytes) => sum + bytes.length + 2, shortBytes(kind));
    const news = rumours.take(PACKET_BYTES_MAX - used);
    const digest = roster.digest(this.#parts.self());
    const state = this.state();
    const short = { kind, seq, pair, digest, ...(state && { state }), ...relay };
    datagrams.send(to, encodeShort(short, [...first, ...news]));
  }
}
