/**
 * The membership engine on the npm package `swim`: its failure detector, state machine and
 * dissemination, with everything that made it unsafe replaced (see swim-cures.ts).
 *
 * Law: what the package holds of a peer and what the roster holds are changed together, by the
 * package's own `update`.
 */
import Swim from "swim";
import { AckLedger } from "../membership/ack-ledger.ts";
import { ClosedPorts } from "../membership/closed-ports.ts";
import {
  Engine,
  type EngineCore,
  type EngineOptions,
  type EnginePorts,
  type Workshop,
} from "../membership/engine.ts";
import type { Evidence, MembershipEngine, PeerMeta } from "../membership/membership.ts";
import { decodePacket, encodeMessage, type Message, type Packet } from "../membership/packet.ts";
import { PathWatch } from "../membership/path-watch.ts";
import { compareLives, type Life, lifeOf, type PeerRecord } from "../membership/record.ts";
import { isLive } from "../membership/roster.ts";
import { sample } from "../membership/shuffle.ts";
import { Suspicions } from "../membership/suspicions.ts";
import { nudges, type SwimTiming, suspicionMs, wasPaused } from "../membership/timing.ts";
import type { Cancel, HostPort, PeerId } from "../ports.ts";
import { applyRecord, dropRecord } from "./swim-book.ts";
import { cureSwim, takeSeq } from "./swim-cures.ts";
import { recordOf, swimData } from "./swim-data.ts";
import { SwimNet } from "./swim-net.ts";

/** @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address). */
export function createSwimEngine(
  ports: EnginePorts,
  options: EngineOptions<SwimTiming>,
): MembershipEngine {
  return new Engine(ports, options, {
    name: "swim",
    core: (workshop) => new SwimCore(workshop),
    farewells: Number.POSITIVE_INFINITY,
  });
}

class SwimCore implements EngineCore {
  readonly #shop: Workshop<SwimTiming>;
  readonly #suspicions: Suspicions;
  readonly #closedPorts: ClosedPorts;
  readonly #ledger: AckLedger;
  readonly #net: SwimNet;
  readonly #swim: Swim;
  readonly #cancelProbes: Cancel;
  #life: Life;
  #phase: "new" | "running" | "over" = "new";
  #hasLeft = false;
  #lastSpread = 0;
  /** What the verdict that the package is just being told rests on. */
  #evidence: Evidence | undefined;

  constructor(workshop: Workshop<SwimTiming>) {
    const { ports, timing, record, paths, loops } = workshop;
    this.#shop = workshop;
    this.#life = lifeOf(record);
    this.#ledger = new AckLedger((id, at) => paths.answered(id, at));
    this.#net = new SwimNet(ports, {
      self: () => ({ id: record.meta.id, ...this.#life }),
      ledger: this.#ledger,
      addressOf: (peer) => this.#liveAddress(peer),
      gossip: (bytes) => this.#swim.disseminator.getUpdatesUpTo(bytes),
    });
    this.#swim = packageSwim(record, timing);
    this.#suspicions = new Suspicions(ports.clock, {
      windowMs: () => suspicionMs(timing, this.#liveCount()),
      wasPaused: (latenessMs) => wasPaused(timing, latenessMs),
      expire: (id) => this.#declareDead(id, "silent"),
    });
    this.#closedPorts = this.#makeClosedPorts();
    this.#cancelProbes = cureSwim(this.#swim, {
      ...ports,
      net: this.#net,
      timing,
      paths,
      suspect: (id, sinceMs) => this.#suspect(id, sinceMs),
    });
    new PathWatch({ ...ports, paths, loops, timing, ping: (id, at) => this.#ping(id, at) });
  }

  self(): PeerRecord {
    const record = recordOf(this.#swim.membership.local.data());
    return this.#hasLeft ? { ...record, state: "left" } : record;
  }

  async start(): Promise<void> {
    this.#phase = "running";
    this.#swim.membership.on("update", (data) => this.#observe(recordOf(data)));
    await new Promise<void>((resolve, reject) => {
      this.#swim.bootstrap([], (error) => (error === undefined ? resolve() : reject(error)));
    });
    const { loops, timing } = this.#shop;
    loops.every("nudge", timing.nudgeMs, () => this.#nudgeSuspects());
    loops.every("anti-entropy", timing.antiEntropyMs, () => this.#compareViews());
  }

  halt(): void {
    this.#suspicions.clear();
    this.#closedPorts.clear();
    this.#cancelProbes();
    if (this.#phase === "running") this.#swim.leave();
    this.#phase = "over";
    this.#swim.membership.removeAllListeners("update");
  }

  resign(): PeerRecord {
    this.#swim.membership.local.incarnation += 1;
    this.#hasLeft = true;
    return this.self();
  }

  send(...words: Parameters<SwimNet["send"]>): void {
    this.#net.send(...words);
  }

  sendAll(...words: Parameters<SwimNet["sendAll"]>): void {
    this.#net.sendAll(...words);
  }

  decode(_from: HostPort, bytes: Uint8Array): Packet {
    return decodePacket(bytes);
  }

  deliver(message: Message, sender: PeerId, from: HostPort): void {
    this.#net.deliver(message, sender, from);
  }

  apply(record: PeerRecord): void {
    applyRecord(this.#swim, record);
  }

  become(life: Life): void {
    this.#life = life;
    const record: PeerRecord = { ...this.self(), era: life.era };
    const { membership } = this.#swim;
    membership.local.meta = swimData(record).meta;
    membership.emit("update", membership.local.data());
    this.#spread(record);
  }

  relocate(meta: PeerMeta): void {
    const { membership } = this.#swim;
    membership.local.incarnation += 1;
    membership.local.meta = swimData({ ...this.self(), meta }).meta;
    membership.emit("update", membership.local.data());
    this.#spread(this.self());
  }

  forget(id: PeerId): void {
    dropRecord(this.#swim, id);
    this.#suspicions.drop(id);
    this.#closedPorts.drop(id);
    this.#ledger.forget(id);
  }

  rttMs(id: PeerId): number | null {
    return this.#ledger.rttMs(id);
  }

  #makeClosedPorts(): ClosedPorts {
    const { ports, timing, roster } = this.#shop;
    return new ClosedPorts(ports, {
      pingTimeoutMs: timing.pingTimeoutMs,
      connectMs: timing.pingReqTimeoutMs,
      wasPaused: (latenessMs) => wasPaused(timing, latenessMs),
      ping: (id) => this.#ping(id),
      answeredSince: (id, sinceMs) => this.#ledger.ackedSince(id, sinceMs),
      record: (id) => roster.record(id),
      refused: ({ meta }) => this.#declareDead(meta.id, "refused"),
    });
  }

  #liveCount(): number {
    return this.#shop.roster.liveCount + 1;
  }

  #liveAddress(peer: PeerId): HostPort | undefined {
    const record = this.#shop.roster.record(peer);
    return record !== undefined && isLive(record) ? record.meta.advertise : undefined;
  }

  #ping(id: PeerId, at?: HostPort): void {
    this.#net.ping(takeSeq(this.#swim), id, at);
  }

  /** Every change that the package accepted comes through here. */
  #observe(record: PeerRecord): void {
    const { roster, ports, report } = this.#shop;
    const { id } = record.meta;
    if (id === this.#swim.membership.local.host) {
      this.#spreadRefutation(record);
      return;
    }
    const before = roster.record(id);
    if (before !== undefined && compareLives(lifeOf(before), lifeOf(record)) !== 0) {
      this.#ledger.forget(id);
    }
    const nowMs = ports.clock.nowMs();
    const event = roster.observe(record, nowMs, this.#evidence);
    if (record.state === "suspect") {
      this.#suspicions.raise(id, record.refutation);
      if (before?.state !== "suspect") this.#closedPorts.look(roster.record(id) ?? record, nowMs);
    } else {
      this.#suspicions.drop(id);
      this.#closedPorts.drop(id);
    }
    report(event);
  }

  #spreadRefutation(record: PeerRecord): void {
    if (record.refutation <= this.#lastSpread) return;
    this.#lastSpread = record.refutation;
    this.#spread(record);
  }

  /** News of this peer's own making, straight to the members; gossip reaches who is missed. */
  #spread(record: PeerRecord): void {
    const { ports, roster, timing } = this.#shop;
    const word = encodeMessage({ type: "update", record });
    for (const { meta } of sample(ports.random, roster.live(), timing.fanout)) {
      this.#net.send(meta.advertise, meta.id, [word]);
    }
  }

  /** Neither two direct pings nor relayed ones were answered. */
  #suspect(id: PeerId, sinceMs: number): void {
    const record = this.#shop.roster.record(id);
    if (record?.state !== "alive" || this.#ledger.ackedSince(id, sinceMs)) return;
    const suspicion: PeerRecord = { ...record, state: "suspect" };
    this.#swim.membership.onUpdate(swimData(suspicion));
    this.#spread(suspicion);
    this.#closedPorts.look(suspicion, sinceMs, 2);
  }

  #declareDead(id: PeerId, evidence: Evidence): void {
    const record = this.#shop.roster.record(id);
    if (record?.state !== "suspect") return;
    this.#evidence = evidence;
    this.#swim.membership.onUpdate(swimData({ ...record, state: "dead" }));
    this.#evidence = undefined;
  }

  #nudgeSuspects(): void {
    const { roster, ports, exchange } = this.#shop;
    const liveCount = this.#liveCount();
    for (const id of this.#suspicions.ids()) {
      const record = roster.record(id);
      if (record === undefined || !nudges(liveCount, ports.random.u32())) continue;
      exchange.send(record.meta.advertise, id, [{ type: "update", record }]);
    }
  }

  #compareViews(): void {
    const { roster, ports, exchange } = this.#shop;
    const [partner] = sample(ports.random, roster.live(), 1);
    if (partner === undefined) return;
    const { advertise, id } = partner.meta;
    exchange.send(advertise, id, [exchange.hello(true)]);
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
