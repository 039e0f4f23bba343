/**
 * The native membership engine: SWIM with Lifeguard over the ports, without a timer, socket or
 * random number of its own, so that a thousand of them run in virtual time.
 *
 * Law: no packet, whatever its bytes, stops this engine; a gone peer is greeted until it returns;
 * verdicts are this peer's own.
 */
import { messageOf, TsweaveError } from "../../errors.ts";
import type {
  Cancel,
  Clock,
  Datagrams,
  HostPort,
  Log,
  PeerId,
  Random,
  Streams,
} from "../../ports.ts";
import { Exchange, Pace } from "../exchange.ts";
import { Intake } from "../intake.ts";
import { Loops } from "../loops.ts";
import type {
  Evidence,
  Member,
  MemberEvent,
  MembershipEngine,
  MembershipProblem,
  PeerMeta,
  Target,
} from "../membership.ts";
import { OtherEngines } from "../other-engine.ts";
import { decodePacketOf, encodeMessage, type Message, type Packet } from "../packet.ts";
import { Reconnect } from "../reconnect.ts";
import { compareLives, ERA_MAX, lifeOf, ownRecord, type PeerRecord } from "../record.ts";
import { Refusals } from "../refusals.ts";
import { Roster } from "../roster.ts";
import { sample } from "../shuffle.ts";
import { Subscribers } from "../subscribers.ts";
import { Twins } from "../twins.ts";
import type { NativeTiming } from "./config.ts";
import { Detector } from "./detector.ts";
import { Gossip } from "./gossip.ts";
import { Post } from "./post.ts";
import { Rumours } from "./rumours.ts";
import { decodeShort, isShort, type Short } from "./short.ts";
import { Tags } from "./tags.ts";
import { Views } from "./views.ts";

export interface NativeEnginePorts {
  /** Carries membership packets only, of at most `PACKET_BYTES_MAX` bytes. */
  readonly datagrams: Datagrams;
  readonly streams: Pick<Streams, "probe">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface NativeEngineOptions {
  readonly self: PeerMeta;
  readonly targets: readonly HostPort[];
  readonly timing: NativeTiming;
}

/** @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address). */
export function createNativeEngine(
  ports: NativeEnginePorts,
  options: NativeEngineOptions,
): MembershipEngine {
  return new NativeEngine(ports, options);
}

/** A leave is said so often, at growing distance, since nobody acknowledges it. */
const LEAVE_AT_MS = [0, 30, 90, 150] as const;
/** Newcomers present themselves to so many at once; gossip tells the others. */
const INTRODUCTIONS = { burst: 64, perSecond: 64 } as const;
/** So many of the longest retries after its start a peer counts as a newcomer. */
const NEWCOMER_HEALS = 5;

class NativeEngine implements MembershipEngine {
  readonly #ports: NativeEnginePorts;
  readonly #timing: NativeTiming;
  readonly #roster: Roster;
  readonly #tags = new Tags();
  readonly #rumours = new Rumours();
  readonly #twins = new Twins();
  readonly #pace = new Pace();
  readonly #reconnect: Reconnect;
  readonly #post: Post;
  readonly #exchange: Exchange;
  readonly #detector: Detector;
  readonly #gossip: Gossip;
  readonly #views: Views;
  readonly #intake: Intake;
  readonly #others: OtherEngines;
  readonly #refusals: Refusals;
  readonly #loops: Loops;
  readonly #subscribers: Subscribers;
  #self: PeerRecord;
  readonly #startedMs: number;
  #isCatchingUp = false;
  #cancelPackets: Cancel = () => undefined;
  #phase: "new" | "running" | "leaving" | "stopped" = "new";

  constructor(ports: NativeEnginePorts, { self, targets, timing }: NativeEngineOptions) {
    const { clock, random, log, datagrams } = ports;
    this.#ports = ports;
    this.#timing = timing;
    this.#self = ownRecord(self, { era: 0, incarnation: self.incarnation, boot: random.u32() });
    this.#startedMs = clock.nowMs();
    this.#roster = new Roster(this.#self.meta, clock.nowMs());
    this.#reconnect = new Reconnect(self.id, this.#roster, timing);
    this.#reconnect.add(targets);
    this.#others = new OtherEngines("native", log);
    this.#refusals = new Refusals(log);
    this.#loops = new Loops(clock, log);
    this.#subscribers = new Subscribers(log);
    const parts = { roster: this.#roster, tags: this.#tags, rumours: this.#rumours };
    this.#post = new Post({ datagrams, ...parts, self: () => this.#self });
    this.#exchange = new Exchange(
      () => clock.nowMs(),
      () => this.#self,
      this.#roster,
      this.#post,
      INTRODUCTIONS,
    );
    const shared = { ...parts, post: this.#post, loops: this.#loops, timing };
    const own = (): PeerRecord => this.#self;
    this.#views = new Views({ clock, exchange: this.#exchange, ...shared, self: own });
    this.#gossip = new Gossip({ ...shared, random });
    this.#detector = new Detector(ports, {
      ...shared,
      gossip: this.#gossip,
      self: self.id,
      observe: (record, evidence) => this.#observe(record, evidence),
    });
    this.#intake = this.#makeIntake();
  }

  async start(): Promise<void> {
    if (this.#phase !== "new") throw new TsweaveError("INTERNAL", "membership starts only once");
    this.#phase = "running";
    this.#cancelPackets = this.#ports.datagrams.onPacket((from, bytes) => {
      this.#receive(from, bytes);
    });
    const { healMs, forgetLeftMs } = this.#timing;
    this.#detector.start();
    this.#loops.every("reconnect", healMs / 4, () => this.#greetDue());
    this.#loops.every("forget-left", forgetLeftMs / 24, () => this.#forgetLeft());
    this.#greetDue();
  }

  join(targets: readonly HostPort[]): void {
    this.#reconnect.add(targets);
    if (this.#phase === "running") this.#greetDue();
  }

  forget(targets: readonly HostPort[]): void {
    this.#reconnect.drop(targets);
  }

  async leave(): Promise<void> {
    if (this.#phase !== "running") return;
    this.#phase = "leaving";
    this.#self = { ...this.#self, state: "left", refutation: this.#self.refutation + 1 };
    this.#stopWork();
    const word = encodeMessage({ type: "update", record: this.#self });
    const told = sample(this.#ports.random, this.#roster.live(), this.#timing.direct);
    if (told.length === 0) return;
    let toldMs = 0;
    for (const atMs of LEAVE_AT_MS) {
      await this.#pause(atMs - toldMs);
      toldMs = atMs;
      for (const { meta } of told) this.#post.send(meta.advertise, meta.id, [word]);
    }
  }

  async stop(): Promise<void> {
    this.#phase = "stopped";
    this.#stopWork();
    this.#cancelPackets();
  }

  members(): readonly Member[] {
    return this.#roster.members((id) => this.#detector.rttMs(id));
  }

  targets(): readonly Target[] {
    return this.#reconnect.targets();
  }

  problems(): readonly MembershipProblem[] {
    const nowMs = this.#ports.clock.nowMs();
    return [...this.#twins.problems(nowMs), ...this.#others.problems(nowMs)];
  }

  onEvent(receive: (event: MemberEvent) => void): Cancel {
    return this.#subscribers.add(receive);
  }

  #makeIntake(): Intake {
    const engine = {
      nowMs: () => this.#ports.clock.nowMs(),
      self: () => this.#self,
      apply: (record: PeerRecord) => this.#apply(record),
      forget: (id: PeerId) => this.#forget(id),
      outlive: (era: number) => this.#outlive(era),
      deliver: (message: Message, sender: PeerId, from: HostPort) => {
        this.#deliver(message, sender, from);
      },
    };
    return new Intake(engine, {
      roster: this.#roster,
      exchange: this.#exchange,
      reconnect: this.#reconnect,
      twins: this.#twins,
      log: this.#ports.log,
      healMs: this.#timing.healMs,
    });
  }

  #receive(from: HostPort, bytes: Uint8Array): void {
    if (this.#phase !== "running") return;
    let packet: Packet | undefined;
    try {
      packet = this.#decode(from, bytes);
    } catch (error) {
      this.#refusals.note(from, error);
      return;
    }
    if (packet === undefined) return;
    try {
      this.#take(from, packet);
    } catch (error) {
      this.#ports.log.error({ from, error: messageOf(error) }, "a membership packet failed");
    }
  }

  /** What a whole list tells a newcomer is old news to the others, unless they are few. */
  #take(from: HostPort, packet: Packet): void {
    const isNew =
      this.#ports.clock.nowMs() - this.#startedMs < NEWCOMER_HEALS * this.#timing.healMaxMs;
    const isLarge = this.#roster.liveCount >= this.#timing.direct;
    const isList = packet.messages.some((message) => message.type === "list");
    this.#isCatchingUp = isNew && isLarge && isList;
    for (const message of packet.messages) this.#noteEcho(message);
    this.#intake.receive(from, packet);
    this.#isCatchingUp = false;
  }

  /** The packet, or undefined when it was dealt with here. */
  #decode(from: HostPort, bytes: Uint8Array): Packet | undefined {
    if (isShort(bytes)) return this.#readShort(from, bytes);
    if (!this.#others.isForeign(bytes)) return decodePacketOf("native", bytes);
    if (this.#others.met(from, bytes, this.#ports.clock.nowMs())) this.#sayHello(from, false);
    return undefined;
  }

  /** A probe as a full packet; its sender must be on record, and mean this very life. */
  #readShort(from: HostPort, bytes: Uint8Array): Packet | undefined {
    const { short, messages } = decodeShort(bytes);
    const sender = this.#tags.peer(short.sender);
    const record = sender === undefined ? undefined : this.#roster.record(sender);
    if (record === undefined || short.target !== this.#post.ownTag()) {
      const gapMs = this.#timing.healMs / 4;
      if (this.#pace.allows(`hello ${short.sender}`, this.#ports.clock.nowMs(), gapMs)) {
        this.#sayHello(from, record === undefined);
      }
      return undefined;
    }
    const header = { sender: record.meta.id, ...lifeOf(record), target: this.#self.meta.id };
    const probe = this.#probeOf(short);
    if (probe === undefined) this.#post.answer("nack", from, header.sender, short.seq);
    return { header, messages: probe === undefined ? messages : [...messages, probe] };
  }

  #probeOf({ kind, seq, digest, destination: tag, patienceMs }: Short): Message | undefined {
    if (kind !== "pingReq") return { type: kind, seq, digest };
    const destination = this.#tags.peer(tag ?? "");
    if (destination === undefined) return undefined;
    return { type: kind, seq, destination, patienceMs: patienceMs ?? this.#timing.relayMs };
  }

  #sayHello(to: HostPort, want: boolean): void {
    this.#exchange.send(to, null, [this.#exchange.hello(want)]);
  }

  /** News that comes in again was passed on by somebody else. */
  #noteEcho(message: Message): void {
    if (message.type !== "update") return;
    const { record } = message;
    const known = this.#roster.record(record.meta.id);
    if (known?.refutation !== record.refutation || known.state !== record.state) return;
    this.#rumours.heard(record.meta.id, "");
  }

  #deliver(message: Message, sender: PeerId, from: HostPort): void {
    switch (message.type) {
      case "ping":
        this.#post.answer("ack", from, sender, message.seq);
        this.#views.compare(from, sender, message.digest);
        return;
      case "ack":
        this.#detector.acked(message.seq, sender);
        this.#views.compare(from, sender, message.digest);
        return;
      case "nack":
        this.#detector.nacked(message.seq, sender);
        return;
      case "pingReq":
        this.#detector.relay(message, sender, from);
        return;
      case "accuse":
        this.#detector.accused(message);
        return;
      case "buckets":
        this.#views.answer(from, sender, message.hashes);
        return;
      default:
        return;
    }
  }

  /** Takes over a record that `judge` accepted. */
  #apply(record: PeerRecord): void {
    if (record.meta.id === this.#self.meta.id) {
      this.#refute(record);
      return;
    }
    this.#observe(record);
    const isFinal = record.state === "alive" || record.state === "left";
    if (isFinal && !this.#isCatchingUp) this.#gossip.news(record);
  }

  /** Enters a record; a change is reported, and a suspicion acted upon. */
  #observe(record: PeerRecord, evidence?: Evidence): void {
    const { id } = record.meta;
    const before = this.#roster.record(id);
    const isOtherLife = before === undefined || compareLives(lifeOf(before), lifeOf(record)) !== 0;
    if (isOtherLife) {
      this.#detector.forget(id);
      this.#tags.observe(record);
    }
    if (record.state !== before?.state) this.#rumours.drop(id);
    const event = this.#roster.observe(record, this.#ports.clock.nowMs(), evidence);
    this.#views.changed();
    this.#detector.changed(record, before?.state !== "suspect");
    if (event !== undefined) this.#subscribers.emit(event);
  }

  /** Somebody doubts this peer, or remembers more of it than it does itself. */
  #refute({ refutation, state }: PeerRecord): void {
    if (state !== "alive") this.#detector.wasDoubted();
    const next = Math.max(refutation, this.#self.refutation) + 1;
    this.#self = { ...this.#self, refutation: next };
    this.#announceSelf();
  }

  #outlive(era: number): void {
    if (era >= ERA_MAX) return;
    this.#ports.log.warn({ era: era + 1 }, "taking this peer's id back from a later start");
    this.#self = { ...this.#self, era: era + 1 };
    this.#announceSelf();
  }

  #forget(id: PeerId): void {
    this.#detector.forget(id);
    this.#rumours.drop(id);
    this.#tags.forget(id);
    this.#roster.forget(id);
    this.#views.changed();
  }

  #announceSelf(): void {
    this.#gossip.announce(encodeMessage({ type: "update", record: this.#self }));
    this.#gossip.news(this.#self);
  }

  #greetDue(): void {
    for (const address of this.#reconnect.due(this.#ports.clock.nowMs())) {
      this.#exchange.greet(address, true);
    }
  }

  #forgetLeft(): void {
    const beforeMs = this.#ports.clock.nowMs() - this.#timing.forgetLeftMs;
    for (const id of this.#roster.leftBefore(beforeMs)) this.#forget(id);
  }

  #stopWork(): void {
    this.#loops.stop();
    this.#detector.stop();
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#ports.clock.timer("membership-leave", ms, resolve);
    });
  }
}
