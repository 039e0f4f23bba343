/** Some thousand cases a run for every reader of bytes; `npm run fuzz` runs as many as wanted. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeWire, LIMITS } from "../../mesh/index.ts";
import { fuzz } from "./run.ts";
import { DECODERS } from "./targets.ts";

const SEED = 20_261_121;
const CASES = 25_000;

describe("fuzzing of decoders", () => {
  const weights = DECODERS.reduce((sum, { weight }) => sum + weight, 0);
  for (const target of DECODERS) {
    it(target.name, async () => {
      const cases = Math.ceil((CASES * target.weight) / weights);
      const { taken, refused } = await fuzz(target, { seed: SEED, cases });
      // Cases that are all refused, or all taken, test nothing but the door.
      assert.ok(taken + refused.size > 1, "cases of one kind only");
    });
  }

  it("refuses sizes that lie in levels that do not end, before it makes room for them", () => {
    for (const count of [1, 0xff, 0xffff, 0xffff_ffff]) {
      const bytes = Buffer.alloc(LIMITS.streamPayloadBytesMax);
      for (let at = 0; at + 5 <= bytes.length; at += 5) {
        bytes[at] = 0xdd;
        bytes.writeUInt32BE(Math.min(count, bytes.length - at), at + 1);
      }
      const before = process.memoryUsage().rss;
      assert.throws(() => decodeWire(bytes), { code: "BAD_MESSAGE" });
      assert.ok(process.memoryUsage().rss - before < 128 * 2 ** 20);
    }
  });
});
