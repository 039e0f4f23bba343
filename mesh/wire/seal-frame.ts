/**
 * The sealed frame, byte for byte:
 *
 *     0      4      5         17        23
 *     | tw.. | hint | session | counter | clear | ciphertext | tag |
 *       4      1      12        6         0 or 8               16
 *
 * AES-256-GCM (NIST SP 800-38D). Each process draws a session of 96 random bits and derives a key
 * for it (HKDF, session as salt, its use as info), so the nonce is only the counter and can never
 * repeat under one key: not across restarts, not between peers. Everything before the ciphertext
 * is authenticated, so is `bound`, which both sides know and nobody sends.
 *
 * Law: pure. Nothing throws on bytes from outside.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { ENVELOPE_BYTES, envelope, kindOf, SEALED_BIT } from "./envelope.ts";
import type { SealKey } from "./keyring.ts";

export const SESSION_BYTES = 12;
export const COUNTER_BYTES = 6;
const SESSION_AT = ENVELOPE_BYTES + 1;
const COUNTER_AT = SESSION_AT + SESSION_BYTES;
export const HEADER_BYTES = COUNTER_AT + COUNTER_BYTES;
const TAG_BYTES = 16;
/** The last counter of a session; 2^48 packets take longer than any process lives. */
export const COUNTER_MAX = 2 ** 48 - 1;
const NOTHING = Buffer.alloc(0);

/** Datagrams and streams have keys, and so counters, of their own. */
export type Label = "datagram" | "stream";

export interface SealHeader {
  /** Without SEALED_BIT. */
  readonly kind: number;
  readonly hint: number;
  readonly session: Uint8Array;
  readonly counter: number;
}

/** The key of one session under one key of the ring. */
export function sessionKey(key: SealKey, session: Uint8Array, label: Label): Uint8Array {
  return Buffer.from(hkdfSync("sha256", key.secret, session, `tsweave ${label} 1`, 32));
}

function encodeHeader(header: SealHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.set(envelope(header.kind | SEALED_BIT));
  bytes.writeUInt8(header.hint, ENVELOPE_BYTES);
  bytes.set(header.session, SESSION_AT);
  bytes.writeUIntBE(header.counter, COUNTER_AT, COUNTER_BYTES);
  return bytes;
}

/** The header of a frame that may be a sealed one; undefined for anything else. */
export function readHeader(frame: Uint8Array): SealHeader | undefined {
  const kind = kindOf(frame) ?? 0;
  if ((kind & SEALED_BIT) === 0 || frame.length < HEADER_BYTES + TAG_BYTES) return undefined;
  const view = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  return {
    kind: kind & ~SEALED_BIT,
    hint: view.readUInt8(ENVELOPE_BYTES),
    session: view.subarray(SESSION_AT, COUNTER_AT),
    counter: view.readUIntBE(COUNTER_AT, COUNTER_BYTES),
  };
}

/** Session and counter as they stand in a frame: what a reply is bound to. */
export function referenceOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(SESSION_AT, HEADER_BYTES);
}

export const REFERENCE_BYTES = SESSION_BYTES + COUNTER_BYTES;

/** Twelve bytes, of which the counter fills the last six. */
function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 12 - COUNTER_BYTES, COUNTER_BYTES);
  return nonce;
}

interface Extras {
  /** Sent readable before the ciphertext. */
  readonly clear?: Uint8Array;
  /** Known to both sides, not sent. */
  readonly bound?: Uint8Array;
}

/** A whole sealed frame. `key` is the session's, see `sessionKey`. */
export function sealFrame(
  key: Uint8Array,
  header: SealHeader,
  payload: Uint8Array,
  { clear = NOTHING, bound = NOTHING }: Extras = {},
): Buffer {
  const head = Buffer.concat([encodeHeader(header), clear]);
  const cipher = createCipheriv("aes-256-gcm", key, nonceOf(header.counter));
  cipher.setAAD(Buffer.concat([head, bound]));
  return Buffer.concat([head, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
}

/** The payload, or undefined when the frame is not what this key sealed with these extras. */
export function openFrame(
  key: Uint8Array,
  counter: number,
  frame: Uint8Array,
  { clearBytes = 0, bound = NOTHING }: { clearBytes?: number; bound?: Uint8Array } = {},
): Uint8Array | undefined {
  const start = HEADER_BYTES + clearBytes;
  const end = frame.length - TAG_BYTES;
  if (end < start) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(counter));
  decipher.setAAD(Buffer.concat([frame.subarray(0, start), bound]));
  decipher.setAuthTag(frame.subarray(end));
  const payload = decipher.update(frame.subarray(start, end));
  try {
    decipher.final();
    return payload;
  } catch {
    // The one way node:crypto says that the tag does not match.
    return undefined;
  }
}

/** The clear bytes of a frame that was opened with `clearBytes`. */
export function clearOf(frame: Uint8Array, clearBytes: number): Uint8Array {
  return frame.subarray(HEADER_BYTES, HEADER_BYTES + clearBytes);
}
