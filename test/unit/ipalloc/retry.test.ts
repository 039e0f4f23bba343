/** Pauses between tries: they grow while peers compete, and stay short while the disk is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Retry } from "../../../ipalloc/retry.ts";
import { TIMES, TsweaveError } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

/** The longest pause between tries of some minutes that all fail so, and how many there were. */
async function pausesOf(failure: Error): Promise<{ longestMs: number; tries: number }> {
  const clock = new VirtualClock();
  const triedMs: number[] = [];
  const ports = { clock, random: new SeededRandom(7), log: new QuietLog() };
  const retry = new Retry(ports, "test", async () => {
    triedMs.push(clock.nowMs());
    throw failure;
  });
  retry.now();
  await clock.run(180_000);
  retry.stop();
  const pauses = triedMs.slice(1).map((at, index) => at - (triedMs[index] ?? 0));
  return { longestMs: Math.max(...pauses), tries: triedMs.length };
}

test("a full disk is tried again within seconds, however long it was full", async () => {
  const { longestMs, tries } = await pausesOf(new TsweaveError("STATE_UNWRITABLE", "no space"));
  assert.ok(longestMs <= TIMES.storeRetryMs, `${longestMs} ms`);
  assert.ok(tries <= 130, `${tries} tries in three minutes`);
});

test("what others are needed for is tried less and less often", async () => {
  const { longestMs, tries } = await pausesOf(new TsweaveError("NO_MAJORITY", "two of five"));
  assert.ok(longestMs > TIMES.rosterRetryMsMax, `${longestMs} ms`);
  assert.ok(tries < 30, `${tries} tries in three minutes`);
});
