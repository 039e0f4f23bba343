/**
 * The membership engine on the npm package `swim`: its failure detector, state machine and
 * dissemination, with everything that made it unsafe replaced (see swim-cures.ts).
 *
 * Law: no packet, whatever its bytes, stops this engine; a gone peer is greeted until it returns;
 * verdicts are this peer's own.
 */
import Swim from "swim";
import { messageOf, TsweaveError } from "../errors.ts";
import { AckLedger } from "../membership/ack-ledger.ts";
import { Exchange } from "../membership/exchange.ts";
import { Intake } from "../membership/intake.ts";
import { Loops } from "../membership/loops.ts";
import type {
  Member,
  MemberEvent,
  MembershipEngine,
  MembershipProblem,
  PeerMeta,
  Target,
} from "../membership/membership.ts";
import { OtherEngines } from "../membership/other-engine.ts";
import { encodeMessage, type Packet } from "../membership/packet.ts";
import { Reconnect } from "../membership/reconnect.ts";
import {
  compareLives,
  ERA_MAX,
  type Life,
  lifeOf,
  ownRecord,
  type PeerRecord,
} from "../membership/record.ts";
import { isLive, Roster } from "../membership/roster.ts";
import { sample } from "../membership/shuffle.ts";
import { Subscribers } from "../membership/subscribers.ts";
import { Suspicions } from "../membership/suspicions.ts";
import { nudges, type SwimTiming, suspicionMs, wasPaused } from "../membership/timing.ts";
import { Twins } from "../membership/twins.ts";
import type { Cancel, Clock, Datagrams, HostPort, Log, PeerId, Random } from "../ports.ts";
import { applyRecord, dropRecord } from "./swim-book.ts";
import { cureSwim } from "./swim-cures.ts";
import { recordOf, swimData } from "./swim-data.ts";
import { SwimNet } from "./swim-net.ts";

export interface SwimEnginePorts {
  /** Carries membership packets only, of at most `PACKET_BYTES_MAX` bytes. */
  readonly datagrams: Datagrams;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SwimEngineOptions {
  readonly self: PeerMeta;
  readonly targets: readonly HostPort[];
  readonly timing: SwimTiming;
}

/** @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address). */
export function createSwimEngine(
  ports: SwimEnginePorts,
  options: SwimEngineOptions,
): MembershipEngine {
  return new PackageEngine(ports, options);
}

/** A leave is said so often, at growing distance, since nobody acknowledges it. */
const LEAVE_AT_MS = [0, 30, 90, 150] as const;

class PackageEngine implements MembershipEngine {
  readonly #ports: SwimEnginePorts;
  readonly #timing: SwimTiming;
  #life: Life;
  readonly #roster: Roster;
  readonly #reconnect: Reconnect;
  readonly #exchange: Exchange;
  readonly #suspicions: Suspicions;
  readonly #twins = new Twins();
  readonly #ledger = new AckLedger();
  readonly #net: SwimNet;
  readonly #swim: Swim;
  readonly #intake: Intake;
  readonly #cancelProbes: Cancel;
  readonly #loops: Loops;
  readonly #subscribers: Subscribers;
  readonly #others: OtherEngines;
  #phase: "new" | "running" | "leaving" | "stopped" = "new";
  #lastSpread = 0;

  constructor(ports: SwimEnginePorts, { self, targets, timing }: SwimEngineOptions) {
    const { clock, random, log, datagrams } = ports;
    this.#ports = ports;
    this.#timing = timing;
    this.#life = { era: 0, incarnation: self.incarnation, boot: random.u32() };
    const record = ownRecord(self, this.#life);
    this.#loops = new Loops(clock, log);
    this.#subscribers = new Subscribers(log);
    this.#others = new OtherEngines("swim", log);
    this.#roster = new Roster(record.meta, clock.nowMs());
    this.#reconnect = new Reconnect(self.id, this.#roster, timing);
    this.#reconnect.add(targets);
    this.#net = new SwimNet(
      { datagrams, clock, log },
      {
        self: () => ({ id: self.id, ...this.#life }),
        ledger: this.#ledger,
        addressOf: (peer) => this.#liveAddress(peer),
        gossip: (bytes) => this.#swim.disseminator.getUpdatesUpTo(bytes),
        receive: (from, packet) => this.#receive(from, packet),
        isForeign: (bytes) => this.#others.isForeign(bytes),
        foreign: (from, bytes) => this.#meetForeign(from, bytes),
      },
    );
    this.#swim = packageSwim(record, timing);
    this.#exchange = new Exchange(
      () => clock.nowMs(),
      () => this.#self(),
      this.#roster,
      this.#net,
    );
    this.#suspicions = new Suspicions(clock, {
      windowMs: () => suspicionMs(timing, this.#liveCount()),
      wasPaused: (latenessMs) => wasPaused(timing, latenessMs),
      expire: (id) => this.#declareDead(id),
    });
    this.#cancelProbes = cureSwim(this.#swim, {
      net: this.#net,
      clock,
      random,
      timing,
      suspect: (id, sinceMs) => this.#suspect(id, sinceMs),
    });
    this.#intake = new Intake(this.#intakeEngine(), {
      roster: this.#roster,
      exchange: this.#exchange,
      reconnect: this.#reconnect,
      twins: this.#twins,
      log,
      healMs: timing.healMs,
    });
  }

  async start(): Promise<void> {
    if (this.#phase !== "new") throw new TsweaveError("INTERNAL", "membership starts only once");
    this.#phase = "running";
    this.#swim.membership.on("update", (data) => this.#observe(recordOf(data)));
    await new Promise<void>((resolve, reject) => {
      this.#swim.bootstrap([], (error) => (error === undefined ? resolve() : reject(error)));
    });
    const { healMs, nudgeMs, antiEntropyMs, forgetLeftMs } = this.#timing;
    this.#loops.every("reconnect", healMs / 4, () => this.#greetDue());
    this.#loops.every("nudge", nudgeMs, () => this.#nudgeSuspects());
    this.#loops.every("anti-entropy", antiEntropyMs, () => this.#compareViews());
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
    this.#swim.membership.local.incarnation += 1;
    this.#phase = "leaving";
    this.#swim.failureDetector.stop();
    this.#stopLoops();
    const members = this.#roster.live();
    const word = encodeMessage({ type: "update", record: this.#self() });
    if (members.length === 0) return;
    let toldMs = 0;
    for (const atMs of LEAVE_AT_MS) {
      await this.#pause(atMs - toldMs);
      toldMs = atMs;
      for (const { meta } of members) this.#net.send(meta.advertise, meta.id, [word]);
    }
  }

  async stop(): Promise<void> {
    if (this.#phase === "stopped") return;
    const wasStarted = this.#phase !== "new";
    this.#phase = "stopped";
    this.#stopLoops();
    if (wasStarted) this.#swim.leave();
    this.#swim.membership.removeAllListeners("update");
  }

  members(): readonly Member[] {
    return this.#roster.members((id) => this.#ledger.rttMs(id));
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

  /** This peer's record as others are to see it. */
  #self(): PeerRecord {
    const record = recordOf(this.#swim.membership.local.data());
    return this.#phase === "running" ? record : { ...record, state: "left" };
  }

  #liveCount(): number {
    return this.#roster.live().length + 1;
  }

  #liveAddress(peer: PeerId): HostPort | undefined {
    const record = this.#roster.record(peer);
    return record !== undefined && isLive(record) ? record.meta.advertise : undefined;
  }

  #receive(from: HostPort, packet: Packet): void {
    if (this.#phase !== "running") return;
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

  #intakeEngine(): ConstructorParameters<typeof Intake>[0] {
    return {
      nowMs: () => this.#ports.clock.nowMs(),
      self: () => this.#self(),
      apply: (record) => applyRecord(this.#swim, record),
      forget: (id) => this.#forget(id),
      outlive: (era) => this.#outlive(era),
      deliver: (message, sender, from) => this.#net.deliver(message, sender, from),
    };
  }

  /** Every change that the package accepted comes through here. */
  #observe(record: PeerRecord): void {
    const { id } = record.meta;
    if (id === this.#swim.membership.local.host) {
      this.#spreadRefutation(record);
      return;
    }
    const before = this.#roster.record(id);
    if (before !== undefined && compareLives(lifeOf(before), lifeOf(record)) !== 0) {
      this.#ledger.forget(id);
    }
    const event = this.#roster.observe(record, this.#ports.clock.nowMs());
    if (record.state === "suspect") this.#suspicions.raise(id, record.refutation);
    else this.#suspicions.drop(id);
    if (event !== undefined) this.#subscribers.emit(event);
  }

  #spreadRefutation(record: PeerRecord): void {
    if (record.refutation <= this.#lastSpread) return;
    this.#lastSpread = record.refutation;
    this.#spread(record);
  }

  /** News of this peer's own making, straight to the members; gossip reaches who is missed. */
  #spread(record: PeerRecord): void {
    const word = encodeMessage({ type: "update", record });
    for (const { meta } of sample(this.#ports.random, this.#roster.live(), this.#timing.fanout)) {
      this.#net.send(meta.advertise, meta.id, [word]);
    }
  }

  /** Neither direct nor relayed probes were answered. */
  #suspect(id: PeerId, sinceMs: number): void {
    const record = this.#roster.record(id);
    if (record?.state !== "alive" || this.#ledger.ackedSince(id, sinceMs)) return;
    const suspicion: PeerRecord = { ...record, state: "suspect" };
    this.#swim.membership.onUpdate(swimData(suspicion));
    this.#spread(suspicion);
  }

  #outlive(era: number): void {
    if (era >= ERA_MAX) return;
    this.#life = { ...this.#life, era: era + 1 };
    this.#ports.log.warn({ era: era + 1 }, "taking this peer's id back from a later start");
    const record: PeerRecord = { ...this.#self(), era: era + 1 };
    const { membership } = this.#swim;
    membership.local.meta = swimData(record).meta;
    membership.emit("update", membership.local.data());
    this.#spread(record);
  }

  #declareDead(id: PeerId): void {
    const record = this.#roster.record(id);
    if (record?.state !== "suspect") return;
    this.#swim.membership.onUpdate(swimData({ ...record, state: "dead" }));
  }

  #nudgeSuspects(): void {
    const liveCount = this.#liveCount();
    for (const id of this.#suspicions.ids()) {
      const record = this.#roster.record(id);
      if (record === undefined || !nudges(liveCount, this.#ports.random.u32())) continue;
      this.#exchange.send(record.meta.advertise, id, [{ type: "update", record }]);
    }
  }

  #greetDue(): void {
    for (const address of this.#reconnect.due(this.#ports.clock.nowMs())) {
      this.#exchange.greet(address, true);
    }
  }

  #compareViews(): void {
    const [partner] = sample(this.#ports.random, this.#roster.live(), 1);
    if (partner === undefined) return;
    const { advertise, id } = partner.meta;
    this.#exchange.send(advertise, id, [this.#exchange.hello(true)]);
  }

  #forgetLeft(): void {
    const beforeMs = this.#ports.clock.nowMs() - this.#timing.forgetLeftMs;
    for (const id of this.#roster.leftBefore(beforeMs)) this.#forget(id);
  }

  #forget(id: PeerId): void {
    dropRecord(this.#swim, id);
    this.#suspicions.drop(id);
    this.#ledger.forget(id);
    this.#roster.forget(id);
  }

  #stopLoops(): void {
    this.#loops.stop();
    this.#suspicions.clear();
    this.#cancelProbes();
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#ports.clock.timer("membership-leave", ms, resolve);
    });
  }
}

function packageSwim(self: PeerRecord, timing: SwimTiming): Swim {
  return new Swim({
    local: swimData(self),
    codec: "json",
    interval: timing.intervalMs,
    pingTimeout: timing.pingTimeoutMs,
    pingReqTimeout: timing.pingReqTimeoutMs,
    pingReqGroupSize: timing.relays,
    disseminationFactor: timing.disseminationFactor,
    preferCurrentMeta: true,
  });
}
