/**
 * Replies to forwarded questions, kept for some seconds: what a busy client asks over and over.
 *
 * Law: only what its server allows to be kept, no longer than it allows, and nothing that Docker's
 * resolver says of itself: containers come, and a name that did not exist a moment ago may exist
 * now. So no errors, no empty replies, no names of one label, and no reply with a time to live of
 * exactly 600 s, Docker's own.
 */
import { LIMITS, TIMES } from "../mesh/index.ts";
import { FLAG, type Query, recordSpans, TYPE, u16 } from "./codec.ts";
import { addressed } from "./relayed.ts";

/** The time to live of every record that Docker's resolver makes itself. */
const DOCKER_TTL_SECONDS = 600;
/** The header's bits that change what a resolver answers. */
const KEY_FLAGS = FLAG.recursionDesired | FLAG.checkingDisabled | FLAG.authenticData;

interface Entry {
  readonly reply: Uint8Array;
  readonly storedMs: number;
  readonly untilMs: number;
}

export class ForwardCache {
  /** BOUNDED: LIMITS.dnsCacheEntriesMax; the oldest goes first. */
  readonly #entries = new Map<string, Entry>();

  /** The reply as this client expects it, of at most `bytesMax` bytes, if one is kept. */
  get(query: Query, bytesMax: number, nowMs: number): Uint8Array | undefined {
    const key = keyOf(query);
    const entry = key === undefined ? undefined : this.#entries.get(key);
    if (key === undefined || entry === undefined) return undefined;
    if (nowMs >= entry.untilMs) {
      this.#entries.delete(key);
      return undefined;
    }
    if (entry.reply.length > bytesMax) return undefined;
    return aged(addressed(entry.reply, query), query, nowMs - entry.storedMs);
  }

  /** Keeps a reply to a query, in the form its client gets, if it may be kept. */
  put(query: Query, reply: Uint8Array, nowMs: number): void {
    const key = keyOf(query);
    if (key === undefined || reply.length > LIMITS.dnsCacheReplyBytesMax) return;
    const lifeMs = lifetimeMs(query, reply);
    if (lifeMs === 0) return;
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < LIMITS.dnsCacheEntriesMax) break;
      this.#entries.delete(oldest);
    }
    const copy = Uint8Array.from(reply);
    this.#entries.set(key, { reply: copy, storedMs: nowMs, untilMs: nowMs + lifeMs });
  }
}

/** What makes two questions the same; undefined for those whose replies are not kept. */
function keyOf({ key, type, class: klass, flags, edns, packet }: Query): string | undefined {
  if (!key.includes(".") || type === TYPE.any) return undefined;
  // Options such as cookies belong to one exchange.
  if (edns !== undefined && u16(packet, edns.offset + 9) > 0) return undefined;
  const form = edns === undefined ? "" : edns.dnssecOk ? "do" : "edns";
  return `${key} ${type} ${klass} ${flags & KEY_FLAGS} ${form}`;
}

/** How long a reply may be kept, 0: not at all. */
function lifetimeMs(query: Query, reply: Uint8Array): number {
  const flags = u16(reply, 2);
  const isGood = (flags & (FLAG.rcodeMask | FLAG.truncated)) === 0;
  if (!isGood || u16(reply, 4) !== 1 || u16(reply, 6) === 0) return 0;
  let seconds = Number.POSITIVE_INFINITY;
  for (const ttlSeconds of timesToLive(query, reply) ?? [0]) {
    if (ttlSeconds === DOCKER_TTL_SECONDS) return 0;
    seconds = Math.min(seconds, ttlSeconds);
  }
  return Math.min(seconds * 1000, TIMES.dnsCacheMs);
}

function timesToLive(query: Query, reply: Uint8Array): number[] | undefined {
  const spans = recordSpans(reply, query.questionEnd);
  const view = Buffer.from(reply.buffer, reply.byteOffset, reply.length);
  return spans
    ?.filter(({ type }) => type !== TYPE.opt)
    .map(({ typeOffset }) => view.readUInt32BE(typeOffset + 4))
    .map((seconds) => (seconds > 0x7fff_ffff ? 0 : seconds)); // RFC 2181 §8.
}

/** Takes the time it was kept off each record of a reply, in place. */
function aged(reply: Uint8Array, query: Query, ageMs: number): Uint8Array {
  const seconds = Math.floor(ageMs / 1000);
  if (seconds === 0) return reply;
  const view = Buffer.from(reply.buffer, reply.byteOffset, reply.length);
  for (const { type, typeOffset } of recordSpans(reply, query.questionEnd) ?? []) {
    if (type === TYPE.opt) continue;
    view.writeUInt32BE(Math.max(0, view.readUInt32BE(typeOffset + 4) - seconds), typeOffset + 4);
  }
  return reply;
}
