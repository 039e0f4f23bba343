/**
 * What every membership engine does around its own failure detector: start, join, greet, judge what
 * comes in, leave, report.
 *
 * Law: no packet, whatever its bytes, stops an engine; a gone peer is greeted until it returns;
 * verdicts are this peer's own.
 */
import { messageOf, TsweaveError } from "../errors.ts";
import type { Cancel, Clock, Datagrams, HostPort, Log, PeerId, Random, Streams } from "../ports.ts";
import { addressesOf, hostsOf } from "./address.ts";
import { Exchange, type Rate, type Sender, UNLIMITED } from "./exchange.ts";
import { Intake } from "./intake.ts";
import { Loops } from "./loops.ts";
import type {
  EngineName,
  Member,
  MemberEvent,
  MembershipEngine,
  MembershipProblem,
  PeerMeta,
  StateRider,
  Target,
} from "./membership.ts";
import { OtherEngines } from "./other-engine.ts";
import { encodeMessage, type Message, type Packet } from "./packet.ts";
import { Paths } from "./paths.ts";
import { Reconnect } from "./reconnect.ts";
import { ERA_MAX, type Life, ownRecord, type PeerRecord } from "./record.ts";
import { Refusals } from "./refusals.ts";
import { Roster } from "./roster.ts";
import { sample } from "./shuffle.ts";
import { Subscribers } from "./subscribers.ts";
import type { HealTiming } from "./timing.ts";
import { Twins } from "./twins.ts";

export interface EnginePorts {
  /** Carries membership packets only, of at most `PACKET_BYTES_MAX` bytes. */
  readonly datagrams: Datagrams;
  readonly streams: Pick<Streams, "probe">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface EngineTiming extends HealTiming {
  /** A peer that left of its own will is forgotten after this. */
  readonly forgetLeftMs: number;
}

export interface EngineOptions<Timing extends EngineTiming> {
  readonly self: PeerMeta;
  readonly targets: readonly HostPort[];
  readonly timing: Timing;
}

/** What is there for an engine's own part to work with. */
export interface Workshop<Timing extends EngineTiming> {
  readonly ports: EnginePorts;
  readonly timing: Timing;
  /** This peer's record at its start. */
  readonly record: PeerRecord;
  readonly roster: Roster;
  readonly paths: Paths;
  readonly loops: Loops;
  readonly exchange: Exchange;
  /** Tells the subscribers, if there is something to tell. */
  report(event: MemberEvent | undefined): void;
}

/** An engine's own part. */
export interface EngineCore extends Sender {
  /** This peer's record as others are to see it. */
  self(): PeerRecord;
  /** Begins to probe. */
  start(): Promise<void>;
  /** Ends every timer; idempotent. */
  halt(): void;
  /** This peer's record from now on: that it left. */
  resign(): PeerRecord;
  /** The packet, or undefined when it was dealt with. @throws TsweaveError BAD_MESSAGE */
  decode(from: HostPort, bytes: Uint8Array): Packet | undefined;
  /** Takes over a record that was judged valid. */
  apply(record: PeerRecord): void;
  deliver(message: Message, sender: PeerId, from: HostPort): void;
  /** Goes on under this life and says so to all. */
  become(life: Life): void;
  /** Goes on with these addresses and says so to all. */
  relocate(meta: PeerMeta): void;
  forget(id: PeerId): void;
  /** Smoothed round trip, null until measured. */
  rttMs(id: PeerId): number | null;
  /** Absent where probes carry nothing. */
  carry?(rider: StateRider): void;
}

interface Make<Timing extends EngineTiming> {
  readonly name: EngineName;
  core(workshop: Workshop<Timing>): EngineCore;
  /** So many members are told of a leave, gossip telling the others. */
  readonly farewells: number;
  /** Bounds a newcomer's introductions where gossip reaches the others anyway. */
  readonly introductions?: Rate;
}

/** A leave is said so often, at growing distance, since nobody acknowledges it. */
const LEAVE_AT_MS = [0, 30, 90, 150] as const;

export class Engine<Timing extends EngineTiming> implements MembershipEngine {
  readonly #ports: EnginePorts;
  readonly #timing: Timing;
  readonly #farewells: number;
  readonly #roster: Roster;
  readonly #paths: Paths;
  readonly #twins = new Twins();
  readonly #reconnect: Reconnect;
  readonly #exchange: Exchange;
  readonly #intake: Intake;
  readonly #others: OtherEngines;
  readonly #refusals: Refusals;
  readonly #loops: Loops;
  readonly #subscribers: Subscribers;
  readonly #core: EngineCore;
  #life: Life;
  #cancelPackets: Cancel = () => undefined;
  #phase: "new" | "running" | "leaving" | "stopped" = "new";
  readonly carry?: (rider: StateRider) => void;

  /** @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address). */
  constructor(ports: EnginePorts, options: EngineOptions<Timing>, make: Make<Timing>) {
    const { clock, random, log } = ports;
    const { self, targets, timing } = options;
    const now = () => clock.nowMs();
    this.#ports = ports;
    this.#timing = timing;
    this.#farewells = make.farewells;
    this.#life = { era: 0, incarnation: self.incarnation, boot: random.u32() };
    const record = ownRecord(self, this.#life);
    this.#paths = new Paths(now, timing, hostsOf(record.meta));
    this.#paths.onChange = (id) => this.#report(this.#roster.moved(id));
    this.#roster = new Roster(record.meta, now(), this.#paths);
    this.#reconnect = new Reconnect(self.id, this.#roster, timing);
    this.#reconnect.add(targets);
    this.#others = new OtherEngines(make.name, log);
    this.#refusals = new Refusals(log);
    this.#loops = new Loops(clock, log);
    this.#subscribers = new Subscribers(log);
    const own = () => this.#core.self();
    const sender: Sender = {
      send: (...words) => this.#core.send(...words),
      sendAll: (...words) => this.#core.sendAll(...words),
    };
    const introductions = make.introductions ?? UNLIMITED;
    this.#exchange = new Exchange(now, own, this.#roster, sender, introductions);
    this.#core = make.core({
      ports,
      timing,
      record,
      roster: this.#roster,
      paths: this.#paths,
      loops: this.#loops,
      exchange: this.#exchange,
      report: (event) => this.#report(event),
    });
    this.#intake = this.#makeIntake();
    const core = this.#core;
    if (core.carry !== undefined) {
      this.carry = (rider) => {
        this.#exchange.rider = rider;
        core.carry?.(rider);
      };
    }
  }

  async start(): Promise<void> {
    if (this.#phase !== "new") throw new TsweaveError("INTERNAL", "membership starts only once");
    this.#phase = "running";
    this.#cancelPackets = this.#ports.datagrams.onPacket((from, bytes) => {
      this.#receive(from, bytes);
    });
    await this.#core.start();
    const { healMaxMs, forgetLeftMs } = this.#timing;
    this.#loops.every("reconnect-again", healMaxMs, () => this.#seekLost());
    this.#loops.every("forget-left", forgetLeftMs / 24, () => this.#forgetLeft());
    this.#greetDue();
    this.#seekLost();
  }

  join(targets: readonly HostPort[]): void {
    this.#reconnect.add(targets);
    if (this.#phase !== "running") return;
    this.#greetDue();
    this.#seekLost();
  }

  forget(targets: readonly HostPort[]): void {
    this.#reconnect.drop(targets);
  }

  async leave(): Promise<void> {
    if (this.#phase !== "running") return;
    this.#phase = "leaving";
    const word = encodeMessage({ type: "update", record: this.#core.resign() });
    this.#halt();
    const told = sample(this.#ports.random, this.#roster.live(), this.#farewells);
    if (told.length === 0) return;
    let toldMs = 0;
    for (const atMs of LEAVE_AT_MS) {
      await this.#pause(atMs - toldMs);
      toldMs = atMs;
      for (const { meta } of told) this.#core.send(meta.advertise, meta.id, [word]);
    }
  }

  async stop(): Promise<void> {
    this.#phase = "stopped";
    this.#halt();
    this.#cancelPackets();
  }

  members(): readonly Member[] {
    return this.#roster.members((id) => this.#core.rttMs(id));
  }

  member(id: PeerId): Member | undefined {
    return this.#roster.member(id, (peer) => this.#core.rttMs(peer));
  }

  targets(): readonly Target[] {
    return this.#reconnect.targets();
  }

  problems(): readonly MembershipProblem[] {
    const nowMs = this.#ports.clock.nowMs();
    return [...this.#twins.problems(nowMs), ...this.#others.problems(nowMs)];
  }

  relocate(hosts: readonly string[]): void {
    const { meta } = this.#core.self();
    const [host = meta.advertise.host] = hosts;
    const moved = { ...meta, advertise: { host, port: meta.advertise.port }, hosts };
    const record = ownRecord(moved, this.#life);
    this.#paths.relocate(hostsOf(record.meta));
    this.#roster.relocate(record.meta);
    if (this.#phase !== "running") return;
    this.#core.relocate(record.meta);
    // Nobody's answers reach this peer any more, so it cannot wait to be asked.
    for (const other of this.#roster.records()) {
      for (const address of addressesOf(other.meta)) this.#exchange.greet(address, true);
    }
  }

  onEvent(receive: (event: MemberEvent) => void): Cancel {
    return this.#subscribers.add(receive);
  }

  #makeIntake(): Intake {
    const core = this.#core;
    const engine = {
      nowMs: () => this.#ports.clock.nowMs(),
      self: () => core.self(),
      apply: (record: PeerRecord) => core.apply(record),
      forget: (id: PeerId) => this.#forget(id),
      outlive: (era: number) => this.#outlive(era),
      deliver: (message: Message, sender: PeerId, from: HostPort) => {
        core.deliver(message, sender, from);
      },
    };
    return new Intake(engine, {
      roster: this.#roster,
      exchange: this.#exchange,
      reconnect: this.#reconnect,
      twins: this.#twins,
      paths: this.#paths,
      log: this.#ports.log,
      healMs: this.#timing.healMs,
    });
  }

  #receive(from: HostPort, bytes: Uint8Array): void {
    if (this.#phase !== "running") return;
    let packet: Packet | undefined;
    try {
      if (this.#others.isForeign(bytes)) this.#meetForeign(from, bytes);
      else packet = this.#core.decode(from, bytes);
    } catch (error) {
      this.#refusals.note(from, error);
      return;
    }
    if (packet === undefined) return;
    try {
      this.#intake.receive(from, packet);
    } catch (error) {
      this.#ports.log.error({ from, error: messageOf(error) }, "a membership packet failed");
    }
  }

  #meetForeign(from: HostPort, bytes: Uint8Array): void {
    if (!this.#others.met(from, bytes, this.#ports.clock.nowMs())) return;
    this.#exchange.send(from, null, [this.#exchange.hello(false)]);
  }

  #report(event: MemberEvent | undefined): void {
    if (event === undefined) return;
    this.#subscribers.emit(event);
    if (event.type === "dead" || event.type === "left") this.#seekLost();
  }

  #outlive(era: number): void {
    if (era >= ERA_MAX) return;
    this.#ports.log.warn({ era: era + 1 }, "taking this peer's id back from a later start");
    this.#life = { ...this.#life, era: era + 1 };
    this.#core.become(this.#life);
  }

  /** Tries what is not connected at a quarter of `healMs`; a whole mesh wakes nobody for it. */
  #seekLost(): void {
    if (this.#phase !== "running" || this.#loops.isArmed("reconnect")) return;
    if (!this.#reconnect.isNeeded) return;
    const tickMs = this.#timing.healMs / 4;
    this.#loops.whileDue("reconnect", tickMs, () => {
      this.#greetDue();
      return this.#reconnect.isNeeded ? tickMs : undefined;
    });
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

  #forget(id: PeerId): void {
    this.#core.forget(id);
    this.#roster.forget(id);
  }

  #halt(): void {
    this.#loops.stop();
    this.#core.halt();
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#ports.clock.timer("membership-leave", ms, resolve);
    });
  }
}
