/**
 * What arrives at the native engine, as packets: post.ts's other direction.
 *
 * Law: a short packet is taken only from a life on record, for this very life; whoever else sends
 * one is greeted, once in a while, so that the two learn of each other's present lives.
 */
import type { Clock, HostPort } from "../../ports.ts";
import { addressKey } from "../address.ts";
import { type Exchange, Pace } from "../exchange.ts";
import { decodePacketOf, type Message, type Packet } from "../packet.ts";
import { lifeOf, type PeerRecord } from "../record.ts";
import type { Roster } from "../roster.ts";
import type { NativeTiming } from "./config.ts";
import type { Post } from "./post.ts";
import { decodeShort, isShort, type Short } from "./short.ts";
import type { Tags } from "./tags.ts";

interface Parts {
  readonly clock: Clock;
  readonly timing: NativeTiming;
  readonly roster: Roster;
  readonly tags: Tags;
  readonly exchange: Exchange;
  readonly post: Post;
  self(): PeerRecord;
}

export class Mailbox {
  readonly #parts: Parts;
  readonly #pace = new Pace();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The packet, or undefined when it was dealt with here. @throws TsweaveError BAD_MESSAGE */
  decode(from: HostPort, bytes: Uint8Array): Packet | undefined {
    if (!isShort(bytes)) return decodePacketOf("native", bytes);
    const { roster, tags, post, self } = this.#parts;
    const { short, messages } = decodeShort(bytes);
    const speaker = tags.speaker(short.pair);
    const record = speaker === undefined ? undefined : roster.record(speaker);
    if (record === undefined) {
      this.#meetUnknown(from);
      return undefined;
    }
    const header = { sender: record.meta.id, ...lifeOf(record), target: self().meta.id };
    const probe = this.#probeOf(short);
    if (probe === undefined) post.answer("nack", from, header.sender, short.seq);
    return { header, messages: probe === undefined ? messages : [...messages, probe] };
  }

  /** Undefined where the life to ping is not the present one. */
  #probeOf({ kind, seq, digest, state, ...relay }: Short): Message | undefined {
    if (kind !== "pingReq") return { type: kind, seq, digest, ...(state && { state }) };
    const { destination: tag, patienceMs } = relay;
    const destination = tag === undefined ? undefined : this.#parts.tags.speaker(tag);
    if (destination === undefined) return undefined;
    return { type: kind, seq, destination, patienceMs: patienceMs ?? this.#parts.timing.relayMs };
  }

  /** One of the two lives is not the present one; only a stranger is asked for its whole view. */
  #meetUnknown(from: HostPort): void {
    const { clock, timing, roster, exchange } = this.#parts;
    const key = addressKey(from);
    if (!this.#pace.allows(key, clock.nowMs(), timing.healMs / 4)) return;
    const isKnown = roster.live().some(({ meta }) => addressKey(meta.advertise) === key);
    exchange.send(from, null, [exchange.hello(!isKnown)]);
  }
}
