/**
 * Hellos and member lists: how peers meet, how a healed partition is noticed, and how two views
 * that drifted apart are made equal again.
 *
 * Law: one small hello with a digest goes first; the whole list follows only where the digests
 * differ, to one peer at most once in a while, so an unanswered hello costs one packet.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";
import { addressKey } from "./address.ts";
import { encodeMessage, type Message } from "./packet.ts";
import type { PeerRecord } from "./record.ts";
import type { Roster } from "./roster.ts";

export interface Sender {
  /** Sends `messages` in as few packets as hold them, each led by `prefix`. */
  send(
    to: HostPort,
    target: PeerId | null,
    messages: readonly Uint8Array[],
    prefix?: readonly Uint8Array[],
  ): void;
}

/** Lets one thing a key through, then nothing for `gapMs`. */
export class Pace {
  /** BOUNDED: LIMITS.peersMax; forgetting all only lets each through once more. */
  readonly #lastMs = new Map<string, number>();

  allows(key: string, nowMs: number, gapMs: number): boolean {
    const lastMs = this.#lastMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < gapMs) return false;
    if (this.#lastMs.size >= LIMITS.peersMax) this.#lastMs.clear();
    this.#lastMs.set(key, nowMs);
    return true;
  }
}

/** Whole lists go out in bursts of at most this many, refilled at this rate. */
const LISTS_BURST = 256;
const LISTS_PER_SECOND = 64;

/** Keeps a mesh that heals or starts all at once from answering everyone with everything. */
class ListBudget {
  #left = LISTS_BURST;
  #filledMs: number;

  constructor(nowMs: number) {
    this.#filledMs = nowMs;
  }

  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#filledMs) / 1000) * LISTS_PER_SECOND;
    this.#left = Math.min(LISTS_BURST, this.#left + earned);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

export class Exchange {
  readonly #budget: ListBudget;
  readonly #now: () => number;
  readonly #self: () => PeerRecord;
  readonly #roster: Roster;
  readonly #net: Sender;

  constructor(now: () => number, self: () => PeerRecord, roster: Roster, net: Sender) {
    this.#now = now;
    this.#budget = new ListBudget(now());
    this.#self = self;
    this.#roster = roster;
    this.#net = net;
  }

  hello(want: boolean): Message {
    const record = this.#self();
    return { type: "hello", record, digest: this.#roster.digest(record), want };
  }

  /** Whether another's view equals this one. */
  agrees(digest: Uint8Array): boolean {
    return Buffer.compare(digest, this.#roster.digest(this.#self())) === 0;
  }

  /**
   * Speaks to whoever is at `address`; tells it if it counts as dead here, so that it can refute.
   * With `want` it asks for the whole list as well.
   */
  greet(address: HostPort, want: boolean): void {
    const key = addressKey(address);
    const accusations = this.#roster
      .gone()
      .filter((record) => record.state === "dead" && addressKey(record.meta.advertise) === key)
      .map((record): Message => ({ type: "update", record }));
    this.send(address, null, [...accusations, this.hello(want)]);
  }

  /** Presents this peer to peers it has just learned of. */
  introduce(records: readonly PeerRecord[]): void {
    for (const { meta } of records) this.send(meta.advertise, meta.id, [this.hello(false)]);
  }

  /**
   * Everything known, this peer first; with `want` it asks for the other's list. When too many
   * were sent lately, only a hello.
   */
  sendList(to: HostPort, target: PeerId, want: boolean): void {
    if (!this.#budget.take(this.#now())) {
      this.send(to, target, [this.hello(false)]);
      return;
    }
    const records = [this.#self(), ...this.#roster.records()];
    const updates = records.map((record) => encodeMessage({ type: "update", record }));
    this.#net.send(to, target, updates, [encodeMessage({ type: "list", want })]);
  }

  send(to: HostPort, target: PeerId | null, messages: readonly Message[]): void {
    this.#net.send(to, target, messages.map(encodeMessage));
  }
}
