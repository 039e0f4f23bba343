/** The process clock: timers fire once, in order, and are listed while they wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { sleep } from "../../contract/membership.ts";

test("timers fire once, can be cancelled, and are named while they wait", async () => {
  const clock = processClock();
  const fired: string[] = [];
  const startMs = clock.nowMs();
  clock.timer("soon", 20, () => fired.push("soon"));
  const cancel = clock.timer("never", 20, () => fired.push("never"));
  clock.timer("negative", -5, () => fired.push("negative"));
  const cancelFar = clock.timer("far", 2 ** 40, () => fired.push("far"));
  assert.deepEqual(
    clock.armed().map((timer) => timer.name),
    ["soon", "never", "negative", "far"],
  );
  cancel();
  cancel();
  await sleep(50);
  assert.deepEqual(fired, ["negative", "soon"]);
  assert.deepEqual(
    clock.armed().map((timer) => timer.name),
    ["far"],
  );
  cancelFar();
  assert.deepEqual(clock.armed(), []);
  assert.ok(clock.nowMs() - startMs >= 49);
  assert.ok(Math.abs(clock.wallMs() - Date.now()) < 100);
});

test("random values are of the right kind and differ", () => {
  const random = cryptoRandom();
  const draws = Array.from({ length: 64 }, () => random.u32());
  assert.ok(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < 2 ** 32));
  assert.ok(new Set(draws).size > 60);
  assert.equal(random.bytes(16).length, 16);
  assert.notDeepEqual(random.bytes(16), random.bytes(16));
});
