/** When a direct path counts as working: never without answers, and not longer than they come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  answered,
  beginProbing,
  DETECTION_MS,
  type Probing,
  turnOf,
} from "../../../overlay/direct/probing.ts";

/** Runs from the state until `endMs`; `isAnswering` decides for each probe, after `delayMs`. */
function play(
  state: Probing,
  startMs: number,
  endMs: number,
  isAnswering: (nowMs: number) => boolean,
  delayMs = 1,
): { state: Probing; sent: number; fellMs: number | undefined } {
  let [number, sent, nowMs] = [Math.floor(startMs) + 1, 0, startMs];
  let fellMs: number | undefined;
  while (nowMs < endMs) {
    nowMs = Math.max(nowMs, state.dueMs);
    if (nowMs >= endMs) break;
    const before = state;
    const turn = turnOf(state, ++number, nowMs);
    state = turn.state;
    if (before.isUp && !state.isUp) fellMs ??= nowMs;
    if (!turn.isSending) continue;
    sent += 1;
    if (isAnswering(nowMs)) state = answered(state, number, nowMs + delayMs);
  }
  return { state, sent, fellMs };
}

test("five answers in a row bring it up, in half a second", () => {
  const { state } = play(beginProbing(0), 0, 600, () => true);
  assert.ok(state.isUp && state.wasUp);
  const calm = play(state, 600, 10_600, () => true);
  assert.ok(calm.state.isUp);
  assert.ok(calm.sent <= 11, `${calm.sent} probes in 10 s`);
});

test("answers to other probes do not count", () => {
  const sent = turnOf(beginProbing(0), 7, 0).state;
  assert.equal(answered(sent, 6, 1), sent);
  assert.equal(answered(beginProbing(0), 7, 1).good, 0);
});

test("silence brings it down within the time of detection, whenever it begins", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 20_000 }), (silentMs) => {
      const { state } = play(beginProbing(0), 0, 700, () => true);
      const { fellMs } = play(state, 700, silentMs + 5000, (nowMs) => nowMs < silentMs);
      assert.ok(fellMs !== undefined && fellMs - silentMs <= DETECTION_MS, `${fellMs} ${silentMs}`);
    }),
  );
});

test("one lost answer, or two, change nothing", () => {
  let state = play(beginProbing(0), 0, 700, () => true).state;
  let at = 0;
  const result = play(state, 700, 60_000, () => at++ % 3 === 0);
  state = result.state;
  assert.equal(result.fellMs, undefined);
  assert.ok(state.isUp);
});

test("where nobody answers probes get rare", () => {
  const { state, sent } = play(beginProbing(0), 0, 3_600_000, () => false);
  assert.ok(!state.isUp && !state.wasUp);
  assert.ok(sent < 100, `${sent} probes in an hour`);
});

test("a daemon that was held up asks again before it believes in silence", () => {
  let state = play(beginProbing(0), 0, 700, () => true).state;
  const sendMs = state.dueMs;
  state = turnOf(state, 900, sendMs).state;
  const late = turnOf(state, 901, state.dueMs + 5000);
  assert.equal(late.isSending, false);
  assert.equal(late.state.bad, 0);
  assert.ok(answered(late.state, 900, state.dueMs + 5001).isUp, "the answer was in the socket");
});
