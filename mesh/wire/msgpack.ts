/**
 * The only importer of msgpack-lite: positional arrays of plain values in, the same out.
 *
 * Law: nothing on the wire is trusted. Length must be exact, depth and counts are bounded, maps
 * and extension types are refused (a map key `__proto__` would set a prototype, an extension
 * would become a live RegExp), and every failure is a BAD_MESSAGE; msgpack-shape.ts sees to it.
 */
import msgpack from "msgpack-lite";
import type { WireValue } from "../ports.ts";
import { checkShape } from "./msgpack-shape.ts";

const codec = msgpack.createCodec({ preset: false, usemap: true });

interface DecoderStream {
  write(bytes: Uint8Array): void;
  fetch(): WireValue;
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
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkShape(view);
  const decoder = (msgpack.Decoder as unknown as (options: object) => DecoderStream)({ codec });
  decoder.write(view);
  return decoder.fetch();
}
