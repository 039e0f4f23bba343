/**
 * Readers of untrusted positional records: each names the path and what was expected, so that a
 * refused message can be understood from its log line.
 */
import { TsweaveError } from "../errors.ts";
import type { WireValue } from "../ports.ts";

function refuse(path: string, expected: string): never {
  throw new TsweaveError("BAD_MESSAGE", `${path}: expected ${expected}`);
}

/** An array of `least` to `most` items. Callers ignore items that newer versions append. */
export function readArray(
  value: WireValue | undefined,
  path: string,
  least: number,
  most: number,
): readonly WireValue[] {
  if (!Array.isArray(value)) return refuse(path, "an array");
  if (value.length < least || value.length > most) refuse(path, `${least} to ${most} items`);
  return value;
}

/** A string of at most `most` UTF-16 units that matches `shape`. */
export function readString(
  value: WireValue | undefined,
  path: string,
  most: number,
  shape?: RegExp,
): string {
  if (typeof value !== "string" || value.length > most) {
    return refuse(path, `a string of at most ${most} characters`);
  }
  if (shape !== undefined && !shape.test(value)) refuse(path, `a string like ${shape.source}`);
  return value;
}

/** A safe integer within [least, most]. */
export function readInteger(
  value: WireValue | undefined,
  path: string,
  least = 0,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
    return refuse(path, `an integer from ${least} to ${most}`);
  }
  return value;
}

/** A boolean. */
export function readBoolean(value: WireValue | undefined, path: string): boolean {
  return typeof value === "boolean" ? value : refuse(path, "a boolean");
}

/** Bytes of a length within [least, most]. */
export function readBytes(
  value: WireValue | undefined,
  path: string,
  least: number,
  most: number,
): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < least || value.length > most) {
    return refuse(path, `${least} to ${most} bytes`);
  }
  return value;
}
