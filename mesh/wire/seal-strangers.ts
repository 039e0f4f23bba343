/**
 * Who talks here without being understood: another password, or one side encrypted and the other
 * not. Both sides get to know, so that a person finds the cause on whichever host they look.
 *
 * Law: a stranger changes nothing but these notes. Notes, log lines and answers are bounded in
 * number and rate, and an answer is never longer than what it answers.
 */
import { LIMITS, TIMES } from "../limits.ts";
import type { Clock, HostPort, Log } from "../ports.ts";
import { ENVELOPE_BYTES, envelope, KINDS, placeOf } from "./envelope.ts";
import { REFERENCE_BYTES, readHeader, referenceOf } from "./seal-frame.ts";

/** What the other side is: under another key, plain where this is sealed, or the reverse. */
export type Strangeness = "other-key" | "plain" | "sealed";

/** A note as status shows it. */
export interface Stranger {
  readonly place: string;
  readonly why: Strangeness;
  readonly count: number;
}

interface Note {
  why: Strangeness;
  count: number;
  lastMs: number;
  loggedMs: number;
  answeredMs: number;
}

const TEXTS: Readonly<Record<Strangeness, string>> = {
  "other-key": "a peer uses another password",
  plain: "a peer does not encrypt, this one does",
  sealed: "a peer encrypts, this one does not",
};
/** One answer a stranger and second, few in all. */
const ANSWER_GAP_MS = 1000;
const ANSWERS_PER_SECOND = 32;

export class Strangers {
  readonly #clock: Clock;
  readonly #log: Log;
  /** BOUNDED: LIMITS.strangersMax; those not heard for a while make room, others only count. */
  readonly #notes = new Map<string, Note>();
  #answers = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };
  /** Packets of strangers, named or not. */
  count = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** A packet that could not be understood came from there. True when it may be answered. */
  meet(from: HostPort, why: Strangeness): boolean {
    this.count += 1;
    const nowMs = this.#clock.nowMs();
    const note = this.#note(placeOf(from), why, nowMs);
    if (note === undefined) return false;
    note.why = why;
    note.count += 1;
    note.lastMs = nowMs;
    if (nowMs - note.loggedMs >= TIMES.strangerLogMs) {
      note.loggedMs = nowMs;
      this.#log.warn({ from, count: note.count }, TEXTS[why]);
    }
    return this.#mayAnswer(note, nowMs);
  }

  /** Those heard lately, the loudest first. */
  list(): Stranger[] {
    const sinceMs = this.#clock.nowMs() - TIMES.strangerFadeMs;
    return [...this.#notes]
      .filter(([, { lastMs }]) => lastMs >= sinceMs)
      .map(([place, { why, count }]) => ({ place, why, count }))
      .sort((a, b) => b.count - a.count);
  }

  #note(place: string, why: Strangeness, nowMs: number): Note | undefined {
    const known = this.#notes.get(place);
    if (known !== undefined) return known;
    if (this.#notes.size >= LIMITS.strangersMax) this.#makeRoom(nowMs);
    if (this.#notes.size >= LIMITS.strangersMax) return undefined;
    const never = Number.NEGATIVE_INFINITY;
    const note = { why, count: 0, lastMs: nowMs, loggedMs: never, answeredMs: never };
    this.#notes.set(place, note);
    return note;
  }

  /** A note that was logged within the interval stays, so that a flood cannot fill the log. */
  #makeRoom(nowMs: number): void {
    for (const [place, { lastMs, loggedMs }] of this.#notes) {
      const isOld = nowMs - lastMs > TIMES.strangerFadeMs;
      if (isOld && nowMs - loggedMs > TIMES.strangerLogMs) this.#notes.delete(place);
    }
  }

  #mayAnswer(note: Note, nowMs: number): boolean {
    if (nowMs - note.answeredMs < ANSWER_GAP_MS) return false;
    if (nowMs - this.#answers.sinceMs >= 1000) this.#answers = { sinceMs: nowMs, count: 0 };
    if (this.#answers.count >= ANSWERS_PER_SECOND) return false;
    this.#answers.count += 1;
    note.answeredMs = nowMs;
    return true;
  }
}

/** What the answering side is, by its number in a notice. */
const REASONS = { "other-key": 1, sealed: 2, plain: 3 } as const;
const REASON_AT = ENVELOPE_BYTES;
const NOTICE_BYTES = REASON_AT + 1 + REFERENCE_BYTES;

/** "I cannot read you, for I am …"; quotes the session and counter of what it answers. */
export function noticeFor(packet: Uint8Array, own: Strangeness): Uint8Array | undefined {
  if (packet.length < NOTICE_BYTES) return undefined;
  const quoted = readHeader(packet) === undefined ? new Uint8Array() : referenceOf(packet);
  const notice = Buffer.alloc(NOTICE_BYTES);
  notice.set([...envelope(KINDS.notice), REASONS[own]]);
  notice.set(quoted, REASON_AT + 1);
  return notice;
}

/** What a notice says its sender is, and the frame it quotes; undefined when it is none. */
export function readNotice(
  packet: Uint8Array,
): { why: Strangeness; session: Uint8Array; counter: number } | undefined {
  if (packet.length !== NOTICE_BYTES) return undefined;
  const why = (["other-key", "sealed", "plain"] as const).find(
    (name) => REASONS[name] === packet[REASON_AT],
  );
  if (why === undefined) return undefined;
  const quoted = Buffer.from(packet.subarray(REASON_AT + 1));
  const counterAt = quoted.length - 6;
  return { why, session: quoted.subarray(0, counterAt), counter: quoted.readUIntBE(counterAt, 6) };
}
