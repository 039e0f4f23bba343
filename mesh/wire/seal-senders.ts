/**
 * What is remembered of each session that others send in: its keys, and which counters were seen.
 *
 * Law: only an authentic frame makes an entry, so that strangers fill nothing. An entry that is
 * pushed out must prove itself anew (datagrams) and makes old stream tokens stale (streams), so
 * forgetting never lets a recorded frame in.
 */
import { LIMITS } from "../limits.ts";
import { ReplayWindow } from "./replay-window.ts";

/** A datagram whose session has yet to prove that it is not a recording. */
export interface Held {
  readonly kind: number;
  readonly counter: number;
  readonly payload: Uint8Array;
}

export interface Sender {
  /** BOUNDED: one entry a label and key of the ring. */
  readonly keys: Map<string, Uint8Array>;
  /** Undefined until the session has answered a challenge. */
  window: ReplayWindow | undefined;
  readonly streamWindow: ReplayWindow;
  challenge: { readonly nonce: Uint8Array; sentMs: number } | undefined;
  /** BOUNDED: HELD_PER_SENDER_MAX, LIMITS.sealHeldMax in all. */
  held: Held[];
  /** The key of its last frame. */
  keyId: string;
  heardMs: number;
}

/** The member list of some hundred peers, as it comes at a first contact. */
const HELD_PER_SENDER_MAX = 16;
/** After so long what is held is no longer waited for. */
const HELD_MS = 1000;

export class Senders {
  /** BOUNDED: LIMITS.sealSendersMax, the least recently heard out, unproven ones first. */
  readonly #senders = new Map<string, Sender>();
  /** BOUNDED: LIMITS.sealSendersMax; where authentic frames came from, and when. */
  readonly #places = new Map<string, number>();
  #heldCount = 0;
  /** Called when a session had to be forgotten. */
  onForgotten: () => void = () => undefined;

  get size(): number {
    return this.#senders.size;
  }

  get(session: string): Sender | undefined {
    return this.#senders.get(session);
  }

  /** The entry of a session that has just shown an authentic frame. */
  entry(session: string, keyId: string, nowMs: number): Sender {
    const known = this.#senders.get(session);
    if (known !== undefined) {
      known.keyId = keyId;
      known.heardMs = nowMs;
      return known;
    }
    if (this.#senders.size >= LIMITS.sealSendersMax) this.#forgetOne();
    const sender: Sender = {
      keys: new Map(),
      window: undefined,
      streamWindow: new ReplayWindow(),
      challenge: undefined,
      held: [],
      keyId,
      heardMs: nowMs,
    };
    this.#senders.set(session, sender);
    return sender;
  }

  /** Keeps a datagram until its session has proved itself; false when there is no room. */
  hold(sender: Sender, held: Held, nowMs: number): boolean {
    if (this.#heldCount >= LIMITS.sealHeldMax) this.#dropOldHeld(nowMs);
    const isFull = this.#heldCount >= LIMITS.sealHeldMax;
    if (isFull || sender.held.length >= HELD_PER_SENDER_MAX) return false;
    sender.held.push(held);
    this.#heldCount += 1;
    return true;
  }

  /** What was held of a sender, which is then no longer held. */
  release(sender: Sender): readonly Held[] {
    const { held } = sender;
    sender.held = [];
    this.#heldCount -= held.length;
    return held;
  }

  heardFrom(place: string, nowMs: number): void {
    if (this.#places.size >= LIMITS.sealSendersMax) this.#places.clear();
    this.#places.set(place, nowMs);
  }

  /** When an authentic frame last came from there. */
  heardMs(place: string): number | undefined {
    return this.#places.get(place);
  }

  /** How many sessions heard since then send with each key. */
  usersSince(sinceMs: number): ReadonlyMap<string, number> {
    const users = new Map<string, number>();
    for (const { keyId, heardMs } of this.#senders.values()) {
      if (heardMs >= sinceMs) users.set(keyId, (users.get(keyId) ?? 0) + 1);
    }
    return users;
  }

  /** Forgets what was derived from keys that are no longer in the ring. */
  keepKeys(isKept: (keyId: string) => boolean): void {
    for (const { keys } of this.#senders.values()) {
      for (const name of keys.keys()) {
        if (!isKept(name.slice(name.indexOf(" ") + 1))) keys.delete(name);
      }
    }
  }

  #forgetOne(): void {
    let oldest: [string, Sender] | undefined;
    for (const candidate of this.#senders) {
      if (oldest === undefined || goesFirst(candidate[1], oldest[1])) oldest = candidate;
    }
    if (oldest === undefined) return;
    this.release(oldest[1]);
    this.#senders.delete(oldest[0]);
    this.onForgotten();
  }

  #dropOldHeld(nowMs: number): void {
    for (const sender of this.#senders.values()) {
      if (nowMs - sender.heardMs > HELD_MS) this.release(sender);
    }
  }
}

function goesFirst(a: Sender, b: Sender): boolean {
  const aProven = a.window !== undefined;
  const bProven = b.window !== undefined;
  return aProven === bProven ? a.heardMs < b.heardMs : bProven;
}
