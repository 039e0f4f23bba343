/**
 * Hellos and member lists: how peers meet, how a healed partition is noticed, and how two views
 * that drifted apart are made equal again.
 *
 * Law: one small hello with a digest goes first; the whole list follows only where the digests
 * differ, to one peer at most once in a while, so an unanswered hello costs one packet.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";
import { addressesOf, addressKey } from "./address.ts";
import type { StateRider } from "./membership.ts";
import { encodeMessage, type Message } from "./packet.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";
import type { Roster } from "./roster.ts";
import { isInBuckets } from "./view-hash.ts";

export interface Sender {
  /** Sends `messages` in as few packets as hold them, each led by `prefix`. */
  send(
    to: HostPort,
    target: PeerId | null,
    messages: readonly Uint8Array[],
    prefix?: readonly Uint8Array[],
  ): void;
  /** The same to whoever is at each of these addresses. */
  sendAll(to: readonly HostPort[], messages: readonly Uint8Array[]): void;
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

/** So many at once, and so many a second. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

const LISTS: Rate = { burst: 256, perSecond: 64 };
/** Introductions where gossip does not spread by itself: to everyone. */
export const UNLIMITED: Rate = { burst: Number.POSITIVE_INFINITY, perSecond: 0 };

/** Keeps a mesh that heals or starts all at once from answering everyone with everything. */
class Budget {
  readonly #rate: Rate;
  #left: number;
  #filledMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#filledMs = nowMs;
  }

  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#filledMs) / 1000) * this.#rate.perSecond;
    this.#left = Math.min(this.#rate.burst, this.#left + earned);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

export class Exchange {
  readonly #lists: Budget;
  readonly #introductions: Budget;
  readonly #now: () => number;
  readonly #self: () => PeerRecord;
  readonly #roster: Roster;
  readonly #net: Sender;
  /** Of the layer above, where the engine carries it. */
  rider: StateRider | undefined;

  /** `introductions` bounds those where the engine's gossip reaches the others anyway. */
  constructor(
    now: () => number,
    self: () => PeerRecord,
    roster: Roster,
    net: Sender,
    introductions: Rate,
  ) {
    this.#now = now;
    this.#lists = new Budget(LISTS, now());
    this.#introductions = new Budget(introductions, now());
    this.#self = self;
    this.#roster = roster;
    this.#net = net;
  }

  hello(want: boolean): Message {
    const record = this.#self();
    const state = this.rider?.hash();
    const digest = this.#roster.digest(record);
    return { type: "hello", record, digest, want, ...(state && { state }) };
  }

  /** Whether another's view equals this one, as far as the digest, or its first part, tells. */
  agrees(digest: Uint8Array): boolean {
    const own = this.#roster.digest(this.#self()).subarray(0, digest.length);
    return Buffer.compare(digest, own) === 0;
  }

  /**
   * Speaks to whoever is at `address`; tells it if it counts as dead here, so that it can refute.
   * With `want` it asks for the whole list as well.
   */
  greet(address: HostPort, want: boolean): void {
    const key = addressKey(address);
    const accusations = this.#roster
      .gone()
      .filter(
        (record) =>
          record.state === "dead" && addressesOf(record.meta).some((at) => addressKey(at) === key),
      )
      .map((record): Message => ({ type: "update", record }));
    this.send(address, null, [...accusations, this.hello(want)]);
  }

  /** Presents this peer to peers it has just learned of. */
  introduce(records: readonly PeerRecord[]): void {
    const met = records.filter(() => this.#introductions.take(this.#now()));
    const addresses = met.flatMap(({ meta }) => addressesOf(meta));
    if (addresses.length > 0) this.#net.sendAll(addresses, [encodeMessage(this.hello(false))]);
    for (const { meta } of met) this.rider?.told(meta.id);
  }

  /**
   * Everything known (in the buckets of `mask`), this peer first; with `want` it asks for the
   * other's list. When too many were sent lately, only a hello.
   */
  sendList(to: HostPort, target: PeerId, want: boolean, mask?: number): void {
    this.#sendRecords(to, target, want, mask, () => true);
  }

  /** As `sendList`, in answer to the other's: without the records that its packet has shown. */
  answerList(to: HostPort, target: PeerId, shown: readonly PeerRecord[], mask?: number): void {
    const known = new Map(shown.map((record) => [record.meta.id, record]));
    this.#sendRecords(to, target, false, mask, (record) => {
      const other = known.get(record.meta.id);
      return other === undefined || !isSame(record, other);
    });
  }

  #sendRecords(
    to: HostPort,
    target: PeerId,
    want: boolean,
    mask: number | undefined,
    isWanted: (record: PeerRecord) => boolean,
  ): void {
    const records = [this.#self(), ...this.#roster.records()]
      .filter((record) => mask === undefined || isInBuckets(record.meta.id, mask))
      .filter(isWanted);
    if (records.length === 0 && !want) return;
    if (!this.#lists.take(this.#now())) {
      this.send(to, target, [this.hello(false)]);
      return;
    }
    const updates = records.map((record) => encodeMessage({ type: "update", record }));
    const list: Message = { type: "list", want, ...(mask === undefined ? {} : { mask }) };
    this.#net.send(to, target, updates, [encodeMessage(list)]);
  }

  send(to: HostPort, target: PeerId | null, messages: readonly Message[]): void {
    this.#net.send(to, target, messages.map(encodeMessage));
  }
}

/** Whether two records say the same of a peer's life and state. */
function isSame(a: PeerRecord, b: PeerRecord): boolean {
  const isOneLife = compareLives(lifeOf(a), lifeOf(b)) === 0;
  return isOneLife && a.state === b.state && a.refutation === b.refutation;
}
