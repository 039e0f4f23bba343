/**
 * What the bundle carries in place of farmhash, which `swim` loads and only its `checksum` calls.
 * tsweave compares views by digests of its own; a WebAssembly file beside the bundle is not needed.
 */
export function hash64(): never {
  throw new Error("swim's checksum is not available in this bundle");
}
