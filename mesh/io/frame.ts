/**
 * One length-prefixed frame on a byte stream: unsigned 32-bit big-endian length, then the bytes.
 *
 * Law: the length is checked before anything is kept, and memory grows only with bytes that came.
 */
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";

const PREFIX_BYTES = 4;

/** @throws TsweaveError BAD_MESSAGE above LIMITS.streamFrameBytesMax */
export function framed(bytes: Uint8Array): Buffer {
  checkLength(bytes.length);
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + bytes.length);
  frame.writeUInt32BE(bytes.length);
  frame.set(bytes, PREFIX_BYTES);
  return frame;
}

function checkLength(length: number): void {
  if (length > LIMITS.streamFrameBytesMax) {
    throw new TsweaveError("BAD_MESSAGE", `a frame of ${length} bytes is too long`);
  }
}

export class FrameReader {
  /** BOUNDED: LIMITS.streamFrameBytesMax and the prefix, checked as soon as the prefix is here. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  #length: number | undefined;

  /**
   * The frame once it is complete.
   * @throws TsweaveError BAD_MESSAGE when it is too long or bytes follow it
   */
  push(chunk: Buffer): Uint8Array | undefined {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#length === undefined) this.#readLength();
    if (this.#length === undefined) return undefined;
    const end = PREFIX_BYTES + this.#length;
    if (this.#bytes < end) return undefined;
    if (this.#bytes > end) throw new TsweaveError("BAD_MESSAGE", "bytes after the frame");
    return Buffer.concat(this.#chunks, end).subarray(PREFIX_BYTES);
  }

  #readLength(): void {
    if (this.#bytes < PREFIX_BYTES) return;
    const head = Buffer.concat(this.#chunks);
    this.#chunks = [head];
    this.#length = head.readUInt32BE();
    checkLength(this.#length);
  }
}
