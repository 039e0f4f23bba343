/**
 * The Streams port with every frame sealed.
 *
 * A request names the receiver's token, eight random bytes of that process; without knowing it the
 * asker is told, and asks again. So a recorded request is good for no other peer and for no later
 * life, and within one life its counter is accepted once. A reply is bound to the session and
 * counter of its request.
 *
 * Law: a request is served once, for the peer it was meant for. Who has no key of the ring is told
 * so in a few bytes and learns nothing else.
 */
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Cancel, Clock, HostPort, Random, Reachability, Streams } from "../ports.ts";
import { KINDS, kindOf, placeOf } from "./envelope.ts";
import type { Seal } from "./seal.ts";
import { clearOf, referenceOf } from "./seal-frame.ts";
import { noticeFor, readNotice } from "./seal-strangers.ts";

const TOKEN_BYTES = 8;
/** First byte of a reply: the answer follows, or the token to ask again with. */
const ANSWER = 0;
const STALE = 1;

interface Ports {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly random: Random;
  readonly seal: Seal | undefined;
}

/** `streams` sealed, or in a plain mesh only able to tell a sealed peer from a broken one. */
export function sealedStreams(ports: Ports): Streams {
  const { streams, seal } = ports;
  return seal === undefined ? new PlainStreams(streams) : new SealedStreams({ ...ports, seal });
}

class PlainStreams implements Streams {
  readonly #streams: Streams;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  async request(to: HostPort, frame: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const answer = await this.#streams.request(to, frame, deadlineMs);
    if (readNotice(answer) === undefined || kindOf(answer) !== KINDS.notice) return answer;
    throw unreadable(to, "encrypts, this peer does not");
  }

  async probe(to: HostPort, deadlineMs: number): Promise<Reachability> {
    return await this.#streams.probe(to, deadlineMs);
  }

  onRequest(handle: (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>): Cancel {
    return this.#streams.onRequest(handle);
  }

  async close(): Promise<void> {
    await this.#streams.close();
  }
}

class SealedStreams implements Streams {
  readonly #ports: Ports & { readonly seal: Seal };
  /** BOUNDED: LIMITS.peersMax; forgetting all only costs a second question each. */
  readonly #tokens = new Map<string, Uint8Array>();
  #ownToken: Uint8Array;

  constructor(ports: Ports & { readonly seal: Seal }) {
    this.#ports = ports;
    this.#ownToken = ports.random.bytes(TOKEN_BYTES);
    ports.seal.senders.onForgotten = () => {
      this.#ownToken = ports.random.bytes(TOKEN_BYTES);
    };
  }

  async request(to: HostPort, frame: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const { clock } = this.#ports;
    const endMs = clock.nowMs() + deadlineMs;
    // Once without the token, once with it, once more if the other restarted in between.
    for (let tries = 0; tries < 3; tries += 1) {
      const reply = await this.#ask(to, frame, Math.max(1, endMs - clock.nowMs()));
      if (reply[0] === ANSWER) return reply.subarray(1);
      if (this.#tokens.size >= LIMITS.peersMax) this.#tokens.clear();
      this.#tokens.set(placeOf(to), Uint8Array.from(reply.subarray(1, 1 + TOKEN_BYTES)));
    }
    throw unreadable(to, "changes its token with each question");
  }

  async probe(to: HostPort, deadlineMs: number): Promise<Reachability> {
    return await this.#ports.streams.probe(to, deadlineMs);
  }

  onRequest(handle: (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>): Cancel {
    return this.#ports.streams.onRequest((from, frame) => this.#serve(from, frame, handle));
  }

  async close(): Promise<void> {
    await this.#ports.streams.close();
  }

  async #ask(to: HostPort, frame: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const { streams, seal } = this.#ports;
    const clear = this.#tokens.get(placeOf(to)) ?? new Uint8Array(TOKEN_BYTES);
    const question = seal.seal("stream", KINDS.request, frame, { clear });
    const answer = await streams.request(to, question, deadlineMs);
    const opened = seal.open("stream", answer, { bound: referenceOf(question) });
    if (opened?.header.kind === KINDS.reply && opened.payload.length > 0) return opened.payload;
    const isNotice = kindOf(answer) === KINDS.notice && readNotice(answer) !== undefined;
    throw unreadable(to, isNotice ? "uses another password" : "does not encrypt, this peer does");
  }

  async #serve(
    from: HostPort,
    frame: Uint8Array,
    handle: (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { seal, clock } = this.#ports;
    const opened = seal.open("stream", frame, { clearBytes: TOKEN_BYTES });
    if (opened === undefined || opened.header.kind !== KINDS.request) return refusal(frame);
    const extras = { bound: referenceOf(frame) };
    const reply = (payload: Uint8Array): Uint8Array =>
      seal.seal("stream", KINDS.reply, payload, extras);
    const token = this.#ownToken;
    if (Buffer.compare(clearOf(frame, TOKEN_BYTES), token) !== 0) {
      return reply(Buffer.concat([Buffer.of(STALE), token]));
    }
    const sender = seal.senders.entry(opened.session, opened.keyId, clock.nowMs());
    if (!sender.streamWindow.accept(opened.header.counter)) {
      seal.counts.replayed += 1;
      return refusal(frame);
    }
    return reply(Buffer.concat([Buffer.of(ANSWER), await handle(from, opened.payload)]));
  }
}

/** A frame too short to be a question is answered with nothing. */
function refusal(frame: Uint8Array): Uint8Array {
  return noticeFor(frame, "other-key") ?? new Uint8Array();
}

function unreadable(to: HostPort, text: string): TsweaveError {
  return new TsweaveError("PEER_UNREACHABLE", `${placeOf(to)} ${text}`, {
    hint: "launch every peer of a mesh with the same password",
  });
}
