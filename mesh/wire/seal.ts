/**
 * This process's side of the seal: its session and counters, and the opening of others' frames
 * with the keys of the ring.
 *
 * Law: no counter is used twice. A frame opens with a key of the ring or not at all; which keys
 * that are may change while the mesh runs, and takes effect with the next frame.
 */
import { TsweaveError } from "../errors.ts";
import { TIMES } from "../limits.ts";
import type { Clock, Random } from "../ports.ts";
import type { Keyring, SealKey } from "./keyring.ts";
import {
  COUNTER_MAX,
  type Label,
  openFrame,
  readHeader,
  SESSION_BYTES,
  type SealHeader,
  sealFrame,
  sessionKey,
} from "./seal-frame.ts";
import { type Sender, Senders } from "./seal-senders.ts";

export interface Opened {
  readonly header: SealHeader;
  /** The session as a map key. */
  readonly session: string;
  readonly keyId: string;
  /** What opened it: the session's key under `keyId`. */
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
}

interface Extras {
  readonly clear?: Uint8Array;
  readonly bound?: Uint8Array;
}

export class Seal {
  readonly senders = new Senders();
  /** Frames that opened, that did not, and that had been seen before. */
  readonly counts = { opened: 0, refused: 0, replayed: 0 };
  readonly #clock: Clock;
  readonly #session: Uint8Array;
  readonly #sessionName: string;
  /** The next counter of each label. */
  readonly #next = { datagram: 0, stream: 0 };
  /** BOUNDED: one entry a label and key of the ring. */
  readonly #ownKeys = new Map<string, Uint8Array>();
  /** Datagram counters at two recent moments; see `freshFloor`. */
  #older: { readonly ms: number; readonly counter: number };
  #newer: { readonly ms: number; readonly counter: number };
  #ring: Keyring;

  constructor(ports: { readonly clock: Clock; readonly random: Random }, ring: Keyring) {
    this.#clock = ports.clock;
    this.#session = ports.random.bytes(SESSION_BYTES);
    this.#sessionName = nameOf(this.#session);
    this.#ring = ring;
    this.#older = { ms: ports.clock.nowMs(), counter: 0 };
    this.#newer = this.#older;
  }

  get ring(): Keyring {
    return this.#ring;
  }

  /** Takes effect with the next frame, sent or received. */
  set ring(ring: Keyring) {
    this.#ring = ring;
    this.senders.keepKeys((id) => ring.has(id));
    this.#ownKeys.clear();
  }

  isOwn(session: string): boolean {
    return session === this.#sessionName;
  }

  /** Whether this process has sent a datagram with this counter, not long ago. */
  hasSent({ session, counter }: Pick<SealHeader, "session" | "counter">): boolean {
    const age = this.#next.datagram - counter;
    return this.isOwn(nameOf(session)) && age > 0 && age <= 65_536;
  }

  /** Whether a datagram with this counter was sent within the last few seconds. */
  hasJustSent(counter: number): boolean {
    return counter >= this.freshFloor() && counter < this.#next.datagram;
  }

  get session(): Uint8Array {
    return this.#session;
  }

  /** A sealed frame under the key to send with. */
  seal(label: Label, kind: number, payload: Uint8Array, extras: Extras = {}): Buffer {
    if (label === "datagram") this.#markTime();
    const counter = this.#next[label];
    if (counter > COUNTER_MAX) throw new TsweaveError("INTERNAL", "out of counters");
    this.#next[label] = counter + 1;
    const key = this.#ring.sending;
    const header = { kind, hint: key.hint, session: this.#session, counter };
    return sealFrame(this.#ownKey(label, key), header, payload, extras);
  }

  /** Undefined when no key of the ring opens it; counted. */
  open(
    label: Label,
    frame: Uint8Array,
    extras: { clearBytes?: number; bound?: Uint8Array } = {},
  ): Opened | undefined {
    const header = readHeader(frame);
    if (header !== undefined) {
      const session = nameOf(header.session);
      const known = this.senders.get(session)?.keys;
      for (const key of this.#ring.keys) {
        if (key.hint !== header.hint) continue;
        const name = `${label} ${key.id}`;
        const derived = known?.get(name) ?? sessionKey(key, header.session, label);
        const payload = openFrame(derived, header.counter, frame, extras);
        if (payload === undefined) continue;
        known?.set(name, derived);
        this.counts.opened += 1;
        return { header, session, keyId: key.id, key: derived, payload };
      }
    }
    this.counts.refused += 1;
    return undefined;
  }

  /** The entry of the session of a datagram that opened; its key is derived once. */
  sender({ session, keyId, key }: Opened): Sender {
    const sender = this.senders.entry(session, keyId, this.#clock.nowMs());
    sender.keys.set(`datagram ${keyId}`, key);
    return sender;
  }

  /** Datagrams of this session from this counter on were sent within the last few seconds. */
  freshFloor(): number {
    this.#markTime();
    return this.#older.counter;
  }

  #markTime(): void {
    const nowMs = this.#clock.nowMs();
    const ageMs = nowMs - this.#newer.ms;
    if (ageMs < TIMES.sealFreshMs / 2) return;
    const now = { ms: nowMs, counter: this.#next.datagram };
    this.#older = ageMs < TIMES.sealFreshMs ? this.#newer : now;
    this.#newer = now;
  }

  #ownKey(label: Label, key: SealKey): Uint8Array {
    const name = `${label} ${key.id}`;
    const derived = this.#ownKeys.get(name) ?? sessionKey(key, this.#session, label);
    this.#ownKeys.set(name, derived);
    return derived;
  }
}

function nameOf(session: Uint8Array): string {
  return Buffer.from(session.buffer, session.byteOffset, session.length).toString("hex");
}
