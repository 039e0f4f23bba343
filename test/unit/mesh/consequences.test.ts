/** What rows cause, waited for with bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, TIMES } from "../../../mesh/limits.ts";
import { Consequences } from "../../../mesh/tables/consequences.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";

const A = "a".repeat(32);
const B = "b".repeat(32);

test("an act waits for all that its own peer has caused, failed or not", async () => {
  const consequences = new Consequences(new VirtualClock());
  const acts: string[] = [];
  consequences.whenDone(A, () => acts.push("nothing to wait for"));
  let finish = (): void => undefined;
  consequences.add(
    A,
    new Promise<void>((resolve) => {
      finish = resolve;
    }),
  );
  consequences.add(A, Promise.reject(new Error("no kernel")));
  consequences.whenDone(A, () => acts.push("done"));
  consequences.whenDone(B, () => acts.push("another peer's"));
  await settle();
  assert.deepEqual(acts, ["nothing to wait for", "another peer's"]);
  finish();
  await settle();
  assert.equal(acts.at(-1), "done");
  consequences.whenDone(A, () => acts.push("at once"));
  assert.equal(acts.at(-1), "at once", "what is done is forgotten");
});

test("what takes too long is not waited for, nor are too many, nor any after the end", async () => {
  const clock = new VirtualClock();
  const consequences = new Consequences(clock);
  let acts = 0;
  consequences.add(A, new Promise(() => undefined));
  for (let n = 0; n < LIMITS.waitingAcksMax + 5; n++) consequences.whenDone(A, () => acts++);
  await clock.run(TIMES.announceMs - 1);
  assert.equal(acts, 0);
  await clock.run(2);
  assert.equal(acts, LIMITS.waitingAcksMax);
  consequences.whenDone(A, () => acts++);
  consequences.stop();
  await clock.run(TIMES.announceMs + 1);
  assert.equal(acts, LIMITS.waitingAcksMax);
});
