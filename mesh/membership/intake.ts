/**
 * What happens with one decoded packet: records are judged before the engine sees them, then the
 * probes are delivered, then the sender is answered.
 *
 * Law: updates come before probes, so that the ack to a probe already carries the refutation.
 * A sender that is dead or unknown here is told so at once. No answer provokes an answer for ever.
 */
import type { HostPort, Log, PeerId } from "../ports.ts";
import { addressesOf } from "./address.ts";
import { type Exchange, Pace } from "./exchange.ts";
import { judge } from "./judgement.ts";
import type { Header, Message, Packet } from "./packet.ts";
import type { Paths } from "./paths.ts";
import type { Reconnect } from "./reconnect.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";
import { isLive, type Roster } from "./roster.ts";
import type { Twins } from "./twins.ts";

/** What only the engine can do. */
export interface IntakeEngine {
  nowMs(): number;
  self(): PeerRecord;
  /** Takes over a record; its state is the judged one. */
  apply(record: PeerRecord): void;
  forget(id: PeerId): void;
  /** Hands a ping, pingReq or ack to the failure detector. */
  deliver(message: Message, sender: PeerId, from: HostPort): void;
  /** A later life of this peer is gone: take the id back with a later era than that one's. */
  outlive(era: number): void;
}

interface Parts {
  readonly roster: Roster;
  readonly exchange: Exchange;
  readonly reconnect: Reconnect;
  readonly twins: Twins;
  readonly paths: Paths;
  readonly log: Log;
  readonly healMs: number;
}

/** Dead peers named by others are taken over for display and retries only by a newcomer. */
const NEWCOMER_MS = 60_000;

export class Intake {
  readonly #engine: IntakeEngine;
  readonly #parts: Parts;
  readonly #pace = new Pace();
  readonly #startedMs: number;

  constructor(engine: IntakeEngine, parts: Parts) {
    this.#engine = engine;
    this.#parts = parts;
    this.#startedMs = engine.nowMs();
  }

  receive(from: HostPort, { header, messages }: Packet): void {
    const self = this.#engine.self();
    if (header.sender === self.meta.id) {
      this.#fromOwnId(from, header, messages, self);
      return;
    }
    if (header.target !== null && header.target !== self.meta.id) return;
    const known = this.#parts.roster.record(header.sender);
    if (known !== undefined && compareLives(header, lifeOf(known)) < 0) {
      this.#fromOldLife(from, header, known);
      return;
    }
    const answers = this.#takeRecords(header, messages);
    for (const message of messages) this.#engine.deliver(message, header.sender, from);
    answers.push(...this.#statusAnswers(from, header));
    for (const message of messages) answers.push(...this.#answer(message, messages, from, header));
    if (answers.length > 0) this.#parts.exchange.send(from, header.sender, answers);
  }

  #takeRecords(header: Header, messages: readonly Message[]): Message[] {
    const answers: Message[] = [];
    const learned: PeerRecord[] = [];
    for (const message of messages) {
      if (!("record" in message)) continue;
      const { record } = message;
      if (record.meta.id === this.#engine.self().meta.id) answers.push(...this.#admitOwn(record));
      else if (this.#admit(record) && record.meta.id !== header.sender) learned.push(record);
    }
    if (messages.some((message) => message.type === "list")) {
      this.#parts.exchange.introduce(learned);
    }
    return answers.slice(-1);
  }

  /** True when the record made a peer known as live that was not, in this life. */
  #admit(record: PeerRecord): boolean {
    const { roster, exchange } = this.#parts;
    const id = record.meta.id;
    const known = roster.record(id);
    const verdict = judge(known, record);
    if (verdict === "stale") return false;
    if (verdict === "implausible") {
      this.#parts.log.debug({ peer: id }, "ignoring a record with an implausible number");
      return false;
    }
    if (verdict === "contradiction") {
      if (this.#allows("contradiction", id)) {
        for (const address of addressesOf(record.meta)) exchange.greet(address, false);
      }
      return false;
    }
    if (known === undefined && !this.#hasRoom(verdict === "dead")) return false;
    this.#engine.apply({ ...record, state: verdict });
    const isNew = known === undefined || compareLives(lifeOf(known), lifeOf(record)) !== 0;
    return isNew && isLive({ ...record, state: verdict });
  }

  #hasRoom(isDead: boolean): boolean {
    if (isDead && this.#engine.nowMs() - this.#startedMs > NEWCOMER_MS) return false;
    const evicted = this.#parts.roster.makeRoom();
    if (evicted === null) {
      if (this.#allows("full", "")) this.#parts.log.error({}, "too many peers, ignoring new ones");
      return false;
    }
    if (evicted !== undefined) this.#engine.forget(evicted);
    return true;
  }

  /** Someone speaks of this very peer; the answer, if one is due. */
  #admitOwn(record: PeerRecord): Message[] {
    const self = this.#engine.self();
    const order = compareLives(lifeOf(record), lifeOf(self));
    if (order > 0) {
      if (isLive(record)) {
        this.#meetLaterLife(self, record);
        return [];
      }
      if (judge(self, record) === "implausible") return [];
      this.#engine.outlive(record.era);
    }
    if (order === 0) {
      const state = record.state === "left" ? "dead" : record.state;
      const verdict = judge(self, { ...record, state });
      if (verdict === "alive" || verdict === "suspect") this.#engine.apply({ ...record, state });
      if (state === "alive") return [];
    }
    return [{ type: "update", record: this.#engine.self() }];
  }

  #meetLaterLife(self: PeerRecord, record: PeerRecord): void {
    const { twins, log, exchange } = this.#parts;
    const there = record.meta.advertise;
    if (twins.superseded(self.meta.id, self.meta.advertise, there, this.#engine.nowMs())) {
      log.error(
        {
          peer: self.meta.id,
          here: self.meta.advertise,
          there,
          incarnation: record.meta.incarnation,
        },
        "the mesh knows a later start of this peer",
      );
    }
    if (this.#allows("twin", self.meta.id)) exchange.send(there, null, [exchange.hello(true)]);
  }

  /** A packet under this peer's own id: its own, returned, or a twin's. */
  #fromOwnId(from: HostPort, header: Header, messages: readonly Message[], self: PeerRecord): void {
    const { twins, exchange, reconnect } = this.#parts;
    if (compareLives(header, lifeOf(self)) === 0) {
      reconnect.heard(from, self.meta.id);
      return;
    }
    const nowMs = this.#engine.nowMs();
    const { id, advertise } = self.meta;
    if (twins.seen(id, header, [advertise, from], nowMs)) this.#reportTwin(id, advertise, from);
    twins.heard(id);
    if (messages.some((message) => message.type === "hello" && message.want)) {
      exchange.send(from, null, [exchange.hello(false)]);
    }
  }

  /** A process still runs under an id whose later life is known; it learns that from the answer. */
  #fromOldLife(from: HostPort, header: Header, known: PeerRecord): void {
    const { twins, exchange } = this.#parts;
    const { id, advertise } = known.meta;
    const nowMs = this.#engine.nowMs();
    if (isLive(known) && twins.seen(id, header, [advertise, from], nowMs)) {
      this.#reportTwin(id, advertise, from);
    }
    if (this.#allows("old", id)) exchange.send(from, id, [{ type: "update", record: known }]);
  }

  #reportTwin(peer: PeerId, here: HostPort, there: HostPort): void {
    this.#parts.log.error({ peer, here, there }, "two running peers share one id");
  }

  /** Tells a sender that is dead here so, and asks an unknown one for its view. */
  #statusAnswers(from: HostPort, header: Header): Message[] {
    const { roster, exchange, reconnect, paths, twins } = this.#parts;
    const record = roster.record(header.sender);
    const isKnown = record !== undefined && compareLives(lifeOf(record), header) === 0;
    if (isKnown && isLive(record)) {
      twins.heard(header.sender);
      reconnect.heard(from, header.sender);
      paths.heard(header.sender, from);
      return [];
    }
    if (isKnown && record.state === "left") return [];
    if (!this.#allows("status", header.sender)) return [];
    return isKnown ? [{ type: "update", record }] : [exchange.hello(true)];
  }

  /** To a hello or a list, one of the packet's `messages`, that wants an answer. */
  #answer(message: Message, messages: readonly Message[], from: HostPort, header: Header) {
    const { exchange } = this.#parts;
    const wants = (message.type === "hello" || message.type === "list") && message.want;
    if (!wants) return [];
    if (message.type === "hello" && exchange.agrees(message.digest)) return [exchange.hello(false)];
    if (!this.#allows(message.type, header.sender)) return [];
    if (message.type === "hello") exchange.sendList(from, header.sender, true);
    else {
      const shown = messages.flatMap((other) => (other.type === "update" ? [other.record] : []));
      exchange.answerList(from, header.sender, shown, message.mask);
    }
    return [];
  }

  #allows(kind: string, id: string): boolean {
    return this.#pace.allows(`${kind} ${id}`, this.#engine.nowMs(), this.#parts.healMs / 4);
  }
}
