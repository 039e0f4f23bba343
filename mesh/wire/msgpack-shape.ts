/**
 * The shape of msgpack bytes, looked over before anything is decoded from them: decoders make an
 * array of the size that is written before they read its items, and call themselves once a level,
 * so a few hundred kilobytes of arrays within arrays would fill all memory.
 *
 * Law: one pass, no allocation that the bytes decide. What passes here holds arrays, strings,
 * bytes, booleans, nulls and finite numbers only, each wholly there, in depth and number bounded.
 */
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";

/** What follows a type byte from 0xc0 on; -1: refused, otherwise so many bytes. */
const FIXED: readonly number[] = [
  ...[0, -1, 0, 0], // nil, unused, false, true
  ...[1, 2, 4], // lengths of bin 8, 16, 32
  ...[-1, -1, -1], // ext 8, 16, 32
  ...[4, 8], // float 32, 64
  ...[1, 2, 4, 8, 1, 2, 4, 8], // unsigned and signed integers
  ...[-1, -1, -1, -1, -1], // fixext
  ...[1, 2, 4], // lengths of str 8, 16, 32
  ...[2, 4], // counts of array 16, 32
  ...[-1, -1], // map 16, 32
];
const isSized = (type: number): boolean => type <= 0xc6 || (type >= 0xd9 && type <= 0xdb);

/** @throws TsweaveError BAD_MESSAGE unless one value of an allowed shape fills `bytes` exactly. */
export function checkShape(bytes: Buffer): void {
  const scan = new Scan(bytes);
  scan.value();
  while (scan.isOpen) scan.value();
  const after = bytes.length - scan.at;
  if (after > 0) refuse(`${after} bytes after the message`);
}

class Scan {
  at = 0;
  readonly #bytes: Buffer;
  /** BOUNDED: LIMITS.wireDepthMax; items still to come of each array that is open. */
  readonly #left: number[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isOpen(): boolean {
    return this.#left.length > 0;
  }

  value(): void {
    const type = this.#bytes[this.at];
    if (type === undefined) refuse("a torn message");
    this.at += 1;
    if (type >= 0x80 && type < 0xe0) this.#more(type);
    if (this.at > this.#bytes.length) refuse("a torn message");
    this.#close();
  }

  #more(type: number): void {
    if (type < 0x90) refuse("a map where none is allowed");
    if (type < 0xa0) this.#open(type & 0x0f);
    else if (type < 0xc0) this.at += type & 0x1f;
    else this.#typed(type);
  }

  #typed(type: number): void {
    const size = FIXED[type - 0xc0] ?? -1;
    if (size < 0) refuse(`the msgpack type 0x${type.toString(16)} where none is allowed`);
    const start = this.at;
    this.at += size;
    if (this.at > this.#bytes.length) refuse("a torn message");
    if (type === 0xca || type === 0xcb) this.#float(start, size);
    else if (type >= 0xdc) this.#open(this.#bytes.readUIntBE(start, size));
    else if (size > 0 && isSized(type)) this.at += this.#bytes.readUIntBE(start, size);
  }

  #float(start: number, size: number): void {
    const value = size === 4 ? this.#bytes.readFloatBE(start) : this.#bytes.readDoubleBE(start);
    if (!Number.isFinite(value)) refuse("a number that is not finite");
  }

  /** The item that holds the array is counted off when the array is complete. */
  #open(count: number): void {
    if (count > LIMITS.wireItemsMax) refuse("array too long");
    if (count > this.#bytes.length - this.at) refuse("a torn message");
    if (count > 0 && this.#left.length >= LIMITS.wireDepthMax) refuse("nested too deep");
    this.#left.push(count + 1);
  }

  #close(): void {
    const left = this.#left;
    for (let top = left.length - 1; top >= 0; top -= 1) {
      left[top] = (left[top] ?? 0) - 1;
      if (left[top] !== 0) return;
      left.pop();
    }
  }
}

function refuse(text: string): never {
  throw new TsweaveError("BAD_MESSAGE", text);
}
