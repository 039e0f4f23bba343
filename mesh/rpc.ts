/**
 * Questions to one peer and their answers, and the digest exchange, over the stream port.
 *
 * Law: a request is read with bounds before it is served; what a handler throws reaches the
 * asker as a code and a message, never as a broken connection.
 */
import { asTsweaveError, type ErrorCode, TsweaveError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import type { Cancel, HostPort, Log, PeerId, Streams, WireValue } from "./ports.ts";
import { peerIdBytes, readPeerId } from "./tables/messages.ts";
import type { Rpc } from "./tables/types.ts";
import { PROTOCOL_VERSION } from "./wire/envelope.ts";
import { decodeWire, encodeWire } from "./wire/msgpack.ts";
import { readArray, readInteger, readString } from "./wire/read.ts";

type Handle = (from: PeerId, body: WireValue) => Promise<WireValue>;

/** Codes a peer's answer may carry through to the asker; others arrive as PEER_UNREACHABLE. */
const CARRIED: readonly ErrorCode[] = [
  "NO_ADDRESS",
  "ADDRESS_TAKEN",
  "NOT_FOUNDED",
  "POOL_CONFLICT",
  "BAD_REQUEST",
  "NOT_FOUND",
];

export class StreamRpc implements Rpc {
  readonly #streams: Streams;
  readonly #self: PeerId;
  readonly #addressOf: (peer: PeerId) => HostPort | undefined;
  readonly #log: Log;
  /** BOUNDED: services are named by the code, never by a peer. */
  readonly #services = new Map<string, Handle>();
  readonly #cancel: Cancel;

  constructor(
    ports: { streams: Streams; log: Log },
    options: { self: PeerId; addressOf: (peer: PeerId) => HostPort | undefined },
  ) {
    this.#streams = ports.streams;
    this.#log = ports.log;
    this.#self = options.self;
    this.#addressOf = options.addressOf;
    this.#cancel = ports.streams.onRequest((from, frame) => this.#serve(from, frame));
  }

  async call(
    peer: PeerId,
    service: string,
    body: WireValue,
    deadlineMs: number,
  ): Promise<WireValue> {
    const address = this.#addressOf(peer);
    if (address === undefined) {
      throw new TsweaveError("PEER_UNREACHABLE", `peer ${peer.slice(0, 8)} is not known`);
    }
    return await this.callAddress(address, service, body, deadlineMs);
  }

  /** As `call`, to whoever listens at an address. */
  async callAddress(
    to: HostPort,
    service: string,
    body: WireValue,
    deadlineMs: number,
  ): Promise<WireValue> {
    const frame = encodeWire([PROTOCOL_VERSION, peerIdBytes(this.#self), service, body]);
    const answer = readArray(
      decodeWire(await this.#streams.request(to, frame, deadlineMs)),
      "answer",
      2,
      8,
    );
    if (readInteger(answer[0], "answer.status", 0, 1) === 0) return answer[1] ?? null;
    const code = readString(answer[1], "answer.code", 32);
    const message = readString(answer[2], "answer.message", 1000);
    const carried = CARRIED.find((known) => known === code);
    throw new TsweaveError(carried ?? "PEER_UNREACHABLE", message);
  }

  serve(service: string, handle: Handle): Cancel {
    this.#services.set(service, handle);
    return () => this.#services.delete(service);
  }

  close(): void {
    this.#cancel();
  }

  async #serve(from: HostPort, frame: Uint8Array): Promise<Uint8Array> {
    try {
      const [version, peer, service, body] = readArray(decodeWire(frame), "request", 4, 8);
      if (readInteger(version, "request.version") !== PROTOCOL_VERSION) {
        throw new TsweaveError("BAD_REQUEST", `this peer speaks version ${PROTOCOL_VERSION}`);
      }
      const name = readString(service, "request.service", 32);
      const handle = this.#services.get(name);
      if (handle === undefined) throw new TsweaveError("BAD_REQUEST", `no service ${name}`);
      const answer = encodeWire([0, await handle(readPeerId(peer, "request.peer"), body ?? null)]);
      if (answer.length <= LIMITS.streamPayloadBytesMax) return answer;
      throw new TsweaveError("INTERNAL", `answer of ${answer.length} bytes is too large`);
    } catch (error) {
      const failure = asTsweaveError(error);
      this.#log.debug({ from, code: failure.code, error: failure.message }, "request refused");
      return encodeWire([1, failure.code, failure.message.slice(0, 1000)]);
    }
  }
}
