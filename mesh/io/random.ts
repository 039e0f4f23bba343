/** The Random port on the kernel's randomness. */
import { randomBytes } from "node:crypto";
import type { Random } from "../ports.ts";

/** Fit for identities and keys, not only for choices. */
export function cryptoRandom(): Random {
  return {
    u32: () => randomBytes(4).readUInt32BE(),
    bytes: (count) => randomBytes(count),
  };
}
