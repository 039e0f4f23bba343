/**
 * DNS over TCP: each message behind two bytes of length, RFC 1035 §4.2.2.
 *
 * Law: a client can make this hold one message's bytes at most.
 */
import { LIMITS } from "../mesh/index.ts";
import { putU16, u16 } from "./codec.ts";

/** Puts messages back together from a stream's chunks. */
export class Deframer {
  /** BOUNDED: less than one message of LIMITS.dnsMessageBytesMax and its length. */
  #rest: Uint8Array = new Uint8Array(0);

  /** The messages now complete, in order; undefined when one is longer than accepted. */
  feed(chunk: Uint8Array): Uint8Array[] | undefined {
    let bytes: Uint8Array = Buffer.concat([this.#rest, chunk]);
    const messages: Uint8Array[] = [];
    while (bytes.length >= 2) {
      const length = u16(bytes, 0);
      if (length > LIMITS.dnsMessageBytesMax) return undefined;
      if (bytes.length < 2 + length) break;
      messages.push(bytes.subarray(2, 2 + length));
      bytes = bytes.subarray(2 + length);
    }
    this.#rest = Uint8Array.from(bytes);
    return messages;
  }
}

/** A message of at most 65 535 bytes behind its length. */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(2 + message.length);
  putU16(framed, 0, message.length);
  framed.set(message, 2);
  return framed;
}
