/**
 * What becomes of an arriving datagram in an encrypted mesh.
 *
 * A session that is new here might be a recording of one that ended, or of one that was heard
 * before this process started. So its first datagrams are held, and it is sent a challenge; the
 * proof echoes the challenge and says from which counter on the session's datagrams are a few
 * seconds old at most. What is held from there on is delivered, so a first contact costs one round
 * trip and loses nothing. A challenge names the datagram that it answers: who sent that a moment
 * ago knows by this that the challenger lives, and asks it nothing. So one round trip proves both.
 *
 * Law: nothing is delivered that is not authentic and new. No byte from outside throws.
 */
import { TIMES } from "../limits.ts";
import type { Clock, HostPort, Random } from "../ports.ts";
import { KINDS, kindOf, placeOf } from "./envelope.ts";
import { ReplayWindow } from "./replay-window.ts";
import type { Opened, Seal } from "./seal.ts";
import { COUNTER_BYTES, SESSION_BYTES, type SealHeader } from "./seal-frame.ts";
import type { Sender } from "./seal-senders.ts";
import { noticeFor, readNotice, type Strangeness, type Strangers } from "./seal-strangers.ts";

const NONCE_BYTES = 8;
/** A challenge: the session asked, a nonce, the counter that it answers, the asker's own floor. */
const ANSWERS_AT = SESSION_BYTES + NONCE_BYTES;
const FLOOR_AT = ANSWERS_AT + COUNTER_BYTES;
const CHALLENGE_BYTES = FLOOR_AT + COUNTER_BYTES;

export interface GatePorts {
  readonly seal: Seal;
  readonly strangers: Strangers;
  readonly clock: Clock;
  readonly random: Random;
  /** Sends bytes as they are. */
  readonly send: (to: HostPort, packet: Uint8Array) => void;
  readonly deliver: (from: HostPort, kind: number, payload: Uint8Array) => void;
}

export class SealGate {
  readonly #ports: GatePorts;
  /** Packets of this process that came back to it. */
  readonly #returned = new ReplayWindow();

  constructor(ports: GatePorts) {
    this.#ports = ports;
  }

  receive(from: HostPort, packet: Uint8Array): void {
    const kind = kindOf(packet);
    if (kind === KINDS.notice) {
      this.#takeNotice(from, packet);
    } else if (kind === KINDS.membership || kind === KINDS.tables) {
      this.#ports.seal.counts.refused += 1;
      this.#refuse(from, packet, "plain");
    } else {
      this.#receiveSealed(from, packet);
    }
  }

  #receiveSealed(from: HostPort, packet: Uint8Array): void {
    const { seal, clock } = this.#ports;
    const opened = seal.open("datagram", packet);
    if (opened === undefined) {
      this.#takeUnreadable(from, packet);
      return;
    }
    if (seal.isOwn(opened.session)) {
      this.#takeOwn(from, opened);
      return;
    }
    const window = seal.senders.get(opened.session)?.window;
    if (window?.accept(opened.header.counter) === false) {
      seal.counts.replayed += 1;
      return;
    }
    seal.senders.heardFrom(placeOf(from), clock.nowMs());
    if (opened.header.kind === KINDS.challenge) this.#prove(from, opened);
    else if (opened.header.kind === KINDS.proof) this.#takeProof(from, opened);
    else this.#take(from, opened);
  }

  #take(from: HostPort, opened: Opened): void {
    const { seal, clock, deliver } = this.#ports;
    const { header, payload } = opened;
    const { kind, counter } = header;
    const sender = seal.sender(opened);
    if (sender.window !== undefined) deliver(from, kind, payload);
    else {
      seal.senders.hold(sender, { kind, counter, payload }, clock.nowMs());
      this.#challenge(from, sender, header);
    }
  }

  #challenge(to: HostPort, sender: Sender, { session, counter }: SealHeader): void {
    const { seal, clock, random, send } = this.#ports;
    const nowMs = clock.nowMs();
    if (sender.challenge === undefined) {
      sender.challenge = { nonce: random.bytes(NONCE_BYTES), sentMs: Number.NEGATIVE_INFINITY };
    }
    if (nowMs - sender.challenge.sentMs < TIMES.sealChallengeMs) return;
    sender.challenge.sentMs = nowMs;
    const question = Buffer.alloc(CHALLENGE_BYTES);
    question.set(session);
    question.set(sender.challenge.nonce, SESSION_BYTES);
    question.writeUIntBE(counter, ANSWERS_AT, COUNTER_BYTES);
    question.writeUIntBE(seal.freshFloor(), FLOOR_AT, COUNTER_BYTES);
    send(to, seal.seal("datagram", KINDS.challenge, question));
  }

  /** Answers a challenge to this process; whoever repeats one learns and changes nothing. */
  #prove(to: HostPort, opened: Opened): void {
    const { seal, send } = this.#ports;
    const { payload } = opened;
    const asked = payload.subarray(0, SESSION_BYTES);
    if (payload.length < ANSWERS_AT) return;
    if (Buffer.compare(asked, seal.session) !== 0) return;
    const hasProved = this.#hasJustChallenged(opened.session);
    const isMutual = payload.length >= CHALLENGE_BYTES;
    if (isMutual) this.#admitChallenger(to, opened);
    if (isMutual && hasProved) return;
    const answer = Buffer.alloc(NONCE_BYTES + COUNTER_BYTES);
    answer.set(payload.subarray(SESSION_BYTES, SESSION_BYTES + NONCE_BYTES));
    answer.writeUIntBE(seal.freshFloor(), NONCE_BYTES, COUNTER_BYTES);
    send(to, seal.seal("datagram", KINDS.proof, answer));
  }

  /** It was sent a challenge that answers its own datagram: for it, that was this one's proof. */
  #hasJustChallenged(session: string): boolean {
    const { seal, clock } = this.#ports;
    const sentMs = seal.senders.get(session)?.challenge?.sentMs ?? Number.NEGATIVE_INFINITY;
    return clock.nowMs() - sentMs < TIMES.sealChallengeMs;
  }

  /** Only a living session answers what this process has sent a moment ago. */
  #admitChallenger(from: HostPort, opened: Opened): void {
    const { seal } = this.#ports;
    const payload = Buffer.from(opened.payload);
    if (!seal.hasJustSent(payload.readUIntBE(ANSWERS_AT, COUNTER_BYTES))) return;
    const sender = seal.sender(opened);
    if (sender.window !== undefined) return;
    this.#admit(from, sender, opened, payload.readUIntBE(FLOOR_AT, COUNTER_BYTES));
  }

  #takeProof(from: HostPort, opened: Opened): void {
    const { seal } = this.#ports;
    const { session, payload } = opened;
    const sender = seal.senders.get(session);
    const nonce = sender?.challenge?.nonce;
    if (sender === undefined || sender.window !== undefined || nonce === undefined) return;
    if (payload.length < NONCE_BYTES + COUNTER_BYTES) return;
    if (Buffer.compare(payload.subarray(0, NONCE_BYTES), nonce) !== 0) return;
    this.#admit(from, sender, opened, Buffer.from(payload).readUIntBE(NONCE_BYTES, COUNTER_BYTES));
  }

  /** The session lives: what is held of it from `floor` on is delivered. */
  #admit(from: HostPort, sender: Sender, opened: Opened, floor: number): void {
    const { seal, deliver } = this.#ports;
    const { header } = opened;
    sender.challenge = undefined;
    const window = new ReplayWindow(Math.min(floor, header.counter));
    sender.window = window;
    window.accept(header.counter);
    seal.sender(opened);
    for (const held of seal.senders.release(sender)) {
      if (window.accept(held.counter)) deliver(from, held.kind, held.payload);
      else seal.counts.replayed += 1;
    }
  }

  /** A target that is this very host: only membership makes something of its own packets. */
  #takeOwn(from: HostPort, { header, payload }: Opened): void {
    const { seal, deliver } = this.#ports;
    if (!this.#returned.accept(header.counter)) seal.counts.replayed += 1;
    else if (header.kind === KINDS.membership) deliver(from, header.kind, payload);
  }

  /** Damage, if its place was understood a moment ago; otherwise another key. */
  #takeUnreadable(from: HostPort, packet: Uint8Array): void {
    const { seal, clock } = this.#ports;
    if (kindOf(packet) === undefined) return;
    const heardMs = seal.senders.heardMs(placeOf(from)) ?? Number.NEGATIVE_INFINITY;
    if (clock.nowMs() - heardMs >= TIMES.strangerDoubtMs) this.#refuse(from, packet, "other-key");
  }

  #refuse(from: HostPort, packet: Uint8Array, why: Strangeness): void {
    const { strangers, send } = this.#ports;
    if (!strangers.meet(from, why)) return;
    const notice = noticeFor(packet, why === "plain" ? "sealed" : "other-key");
    if (notice !== undefined) send(from, notice);
  }

  /** Only about a packet that this process has sent, so that nobody else can raise an alarm. */
  #takeNotice(from: HostPort, packet: Uint8Array): void {
    const notice = readNotice(packet);
    if (notice === undefined || notice.why === "sealed") return;
    if (this.#ports.seal.hasSent(notice)) this.#ports.strangers.meet(from, notice.why);
  }
}
