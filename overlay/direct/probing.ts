/**
 * When a direct path counts as working: probes sent and answered, with hysteresis. Pure.
 *
 * Laws: up only after several answers in a row; down after several probes without one, in time
 * bounded by DETECTION_MS; a path that failed is tried again after a pause that grows. A daemon
 * that was held up asks again before it takes its own lateness for a silence.
 */

/** Between probes of a path that works. */
const CALM_MS = 1000;
/** Between answers and the next probe while the path is being proved. */
const BRISK_MS = 100;
/** How long an answer may take, on one segment. */
const ANSWER_MS = 150;
/** A timer later than this was held up. */
const LATE_MS = 50;
const GOOD_MIN = 5;
const BAD_MAX = 4;
const RETRY_MS = 2000;
const RETRY_MS_MAX = 300_000;
/** A path that worked for so long is tried again soon. */
const PROVEN_MS = 60_000;

/** From a path's last passed packet to the decision to leave it, at most. */
export const DETECTION_MS = CALM_MS + BAD_MAX * (ANSWER_MS + LATE_MS);

export interface Probing {
  readonly isUp: boolean;
  /** When it came up or went down. */
  readonly sinceMs: number;
  /** True once it was up. */
  readonly wasUp: boolean;
  readonly good: number;
  readonly bad: number;
  /** Of the probe without an answer so far. */
  readonly awaited: number | undefined;
  readonly isExcused: boolean;
  /** When turnOf has something to do. */
  readonly dueMs: number;
  readonly retryMs: number;
}

export function beginProbing(nowMs: number): Probing {
  return {
    isUp: false,
    sinceMs: nowMs,
    wasUp: false,
    good: 0,
    bad: 0,
    awaited: undefined,
    isExcused: false,
    dueMs: nowMs,
    retryMs: RETRY_MS,
  };
}

/** An answer came; one to another probe than the last is too late to count. */
export function answered(state: Probing, number: number, nowMs: number): Probing {
  if (state.awaited !== number) return state;
  const good = state.good + 1;
  const isUp = state.isUp || good >= GOOD_MIN;
  const rose = isUp && !state.isUp;
  return {
    ...state,
    isUp,
    wasUp: isUp || state.wasUp,
    sinceMs: rose ? nowMs : state.sinceMs,
    good,
    bad: 0,
    awaited: undefined,
    isExcused: false,
    dueMs: nowMs + (isUp ? CALM_MS : BRISK_MS),
  };
}

/** What is to be done at `dueMs`: perhaps a probe with `number`, which is new. */
export function turnOf(
  state: Probing,
  number: number,
  nowMs: number,
): { readonly state: Probing; readonly isSending: boolean } {
  if (nowMs < state.dueMs) return { state, isSending: false };
  const isSilent = state.awaited !== undefined;
  if (isSilent && !state.isExcused && nowMs - state.dueMs > LATE_MS) {
    return { state: { ...state, isExcused: true, dueMs: nowMs + LATE_MS }, isSending: false };
  }
  const bad = state.bad + (isSilent ? 1 : 0);
  if (bad >= BAD_MAX) return { state: silent(state, nowMs), isSending: false };
  const good = isSilent ? 0 : state.good;
  const next = { ...state, good, bad, awaited: number, isExcused: false };
  return { state: { ...next, dueMs: nowMs + ANSWER_MS }, isSending: true };
}

function silent(state: Probing, nowMs: number): Probing {
  const wasProven = state.isUp && nowMs - state.sinceMs >= PROVEN_MS;
  const retryMs = wasProven ? RETRY_MS : state.retryMs;
  return {
    ...state,
    isUp: false,
    sinceMs: state.isUp ? nowMs : state.sinceMs,
    good: 0,
    bad: 0,
    awaited: undefined,
    isExcused: false,
    dueMs: nowMs + retryMs,
    retryMs: Math.min(retryMs * 2, RETRY_MS_MAX),
  };
}
