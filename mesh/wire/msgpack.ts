/**
 * The only importer of msgpack-lite: positional arrays of plain values in, the same out.
 *
 * Law: nothing on the wire is trusted. Length must be exact, depth and counts are bounded, maps
 * and extension types are refused (a map key `__proto__` would set a prototype, an extension
 * would become a live RegExp), and every failure is a BAD_MESSAGE.
 */
import msgpack from "msgpack-lite";
import { messageOf, TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { WireValue } from "../ports.ts";

const codec = msgpack.createCodec({ preset: false, usemap: true });

interface DecoderStream {
  write(bytes: Uint8Array): void;
  fetch(): unknown;
  offset: number;
}

/** msgpack bytes of a value. Throws INTERNAL on values that cannot be carried. */
export function encodeWire(value: WireValue): Uint8Array {
  return msgpack.encode(carried(value), { codec });
}

/** msgpack-lite writes only Buffers as binary; other byte arrays would become extensions. */
function carried(value: WireValue): unknown {
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return Array.isArray(value) ? value.map(carried) : value;
}

/**
 * The value that exactly fills `bytes`.
 * @throws TsweaveError BAD_MESSAGE on anything else.
 */
export function decodeWire(bytes: Uint8Array): WireValue {
  let value: unknown;
  let end: number;
  try {
    const decoder = (msgpack.Decoder as unknown as (options: object) => DecoderStream)({ codec });
    decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    value = decoder.fetch();
    end = decoder.offset;
  } catch (error) {
    throw new TsweaveError("BAD_MESSAGE", `not msgpack: ${messageOf(error)}`, { cause: error });
  }
  if (end !== bytes.length) {
    throw new TsweaveError("BAD_MESSAGE", `${bytes.length - end} bytes after the message`);
  }
  return checked(value, 0);
}

function checked(value: unknown, depth: number): WireValue {
  if (depth > LIMITS.wireDepthMax) throw new TsweaveError("BAD_MESSAGE", "nested too deep");
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw new TsweaveError("BAD_MESSAGE", "a number that is not finite");
  }
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) {
    if (value.length > LIMITS.wireItemsMax) throw new TsweaveError("BAD_MESSAGE", "array too long");
    return value.map((item) => checked(item, depth + 1));
  }
  throw new TsweaveError("BAD_MESSAGE", `a ${typeof value} where none is allowed`);
}
