/**
 * The native membership engine: SWIM with Lifeguard over the ports, without a timer, socket or
 * random number of its own, so that a thousand of them run in virtual time.
 *
 * Law: it has no state that its parts do not own, but its own record and whether the news it takes
 * in is old to the others.
 */
import type { HostPort, PeerId } from "../../ports.ts";
import {
  Engine,
  type EngineCore,
  type EngineOptions,
  type EnginePorts,
  type Workshop,
} from "../engine.ts";
import type { Evidence, MembershipEngine, PeerMeta, StateRider } from "../membership.ts";
import { encodeMessage, type Message, type Packet } from "../packet.ts";
import { compareLives, type Life, lifeOf, type PeerRecord } from "../record.ts";
import type { NativeTiming } from "./config.ts";
import { Detector } from "./detector.ts";
import { Gossip } from "./gossip.ts";
import { Mailbox } from "./mailbox.ts";
import { Post } from "./post.ts";
import { Rumours } from "./rumours.ts";
import { Tags } from "./tags.ts";
import { Views } from "./views.ts";

/** @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address). */
export function createNativeEngine(
  ports: EnginePorts,
  options: EngineOptions<NativeTiming>,
): MembershipEngine {
  return new Engine(ports, options, {
    name: "native",
    core: (workshop) => new NativeCore(workshop),
    farewells: options.timing.direct,
    introductions: INTRODUCTIONS,
  });
}

/** Newcomers present themselves to so many at once; gossip tells the others. */
const INTRODUCTIONS = { burst: 64, perSecond: 64 } as const;
/** So many of the longest retries after its start a peer counts as a newcomer. */
const NEWCOMER_HEALS = 5;

class NativeCore implements EngineCore {
  readonly #shop: Workshop<NativeTiming>;
  readonly #tags: Tags;
  readonly #rumours = new Rumours();
  readonly #post: Post;
  readonly #mailbox: Mailbox;
  readonly #detector: Detector;
  readonly #gossip: Gossip;
  readonly #views: Views;
  readonly #startedMs: number;
  #self: PeerRecord;
  #isCatchingUp = false;
  #rider: StateRider | undefined;

  constructor(workshop: Workshop<NativeTiming>) {
    const { ports, timing, record, roster } = workshop;
    this.#shop = workshop;
    this.#self = record;
    this.#startedMs = ports.clock.nowMs();
    this.#tags = new Tags(record.meta.id, lifeOf(record));
    const own = {
      ...workshop,
      ...ports,
      self: () => this.#self,
      tags: this.#tags,
      rumours: this.#rumours,
    };
    this.#post = new Post(own);
    this.#mailbox = new Mailbox({ ...own, post: this.#post });
    this.#views = new Views(own);
    this.#gossip = new Gossip({ ...own, post: this.#post });
    this.#detector = new Detector(ports, {
      self: record.meta.id,
      roster,
      timing,
      loops: workshop.loops,
      paths: workshop.paths,
      post: this.#post,
      gossip: this.#gossip,
      observe: (observed, evidence) => this.#observe(observed, evidence),
    });
  }

  self(): PeerRecord {
    return this.#self;
  }

  async start(): Promise<void> {
    this.#detector.start();
  }

  halt(): void {
    this.#detector.stop();
  }

  resign(): PeerRecord {
    this.#self = { ...this.#self, state: "left", refutation: this.#self.refutation + 1 };
    return this.#self;
  }

  send(...words: Parameters<Post["send"]>): void {
    this.#post.send(...words);
  }

  sendAll(...words: Parameters<Post["sendAll"]>): void {
    this.#post.sendAll(...words);
  }

  /** What a whole list tells a newcomer is old news to the others. */
  decode(from: HostPort, bytes: Uint8Array): Packet | undefined {
    const packet = this.#mailbox.decode(from, bytes);
    if (packet === undefined) return undefined;
    const { ports, timing } = this.#shop;
    const ageMs = ports.clock.nowMs() - this.#startedMs;
    const isNew = ageMs < NEWCOMER_HEALS * timing.healMaxMs;
    const isList = packet.messages.some((message) => message.type === "list");
    this.#isCatchingUp = isNew && isList;
    for (const message of packet.messages) this.#noteEcho(message);
    return packet;
  }

  carry(rider: StateRider): void {
    this.#rider = rider;
    this.#post.state = rider.hash;
  }

  deliver(message: Message, sender: PeerId, from: HostPort): void {
    if ("state" in message && message.state) {
      if (message.type === "hello") this.#rider?.met(sender, message.state);
      else this.#rider?.heard(sender, message.state);
    }
    switch (message.type) {
      case "ping":
        this.#post.answer("ack", from, sender, message.seq);
        this.#detector.pinged(sender);
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

  apply(record: PeerRecord): void {
    if (record.meta.id === this.#self.meta.id) {
      this.#refute(record);
      return;
    }
    const isNewcomer = this.#shop.roster.record(record.meta.id) === undefined;
    this.#observe(record);
    const isFinal = record.state === "alive" || record.state === "left";
    if (isFinal && !this.#isCatchingUp) this.#gossip.news(record, isNewcomer);
  }

  become({ era }: Life): void {
    this.#self = { ...this.#self, era };
    this.#tags.become(this.#self.meta.id, lifeOf(this.#self));
    this.#announceSelf();
  }

  relocate(meta: PeerMeta): void {
    this.#self = { ...this.#self, meta, refutation: this.#self.refutation + 1 };
    this.#announceSelf();
  }

  forget(id: PeerId): void {
    this.#detector.forget(id);
    this.#rumours.drop(id);
    this.#tags.forget(id);
    this.#views.changed();
  }

  rttMs(id: PeerId): number | null {
    return this.#detector.rttMs(id);
  }

  /** News that comes in again was passed on by somebody else. */
  #noteEcho(message: Message): void {
    if (message.type !== "update") return;
    const { record } = message;
    const known = this.#shop.roster.record(record.meta.id);
    if (known?.refutation !== record.refutation || known.state !== record.state) return;
    this.#rumours.heard(record.meta.id, "");
  }

  /** Enters a record; a change is reported, and a suspicion acted upon. */
  #observe(record: PeerRecord, evidence?: Evidence): void {
    const { roster, ports, report } = this.#shop;
    const { id } = record.meta;
    const before = roster.record(id);
    const isOtherLife = before === undefined || compareLives(lifeOf(before), lifeOf(record)) !== 0;
    if (isOtherLife) {
      this.#detector.forget(id);
      this.#tags.observe(record);
    }
    if (record.state !== before?.state) this.#rumours.drop(id);
    const event = roster.observe(record, ports.clock.nowMs(), evidence);
    this.#views.changed();
    this.#detector.changed(record, before?.state !== "suspect");
    report(event);
  }

  /** Somebody doubts this peer, or remembers more of it than it does itself. */
  #refute({ refutation, state }: PeerRecord): void {
    if (state !== "alive") this.#detector.wasDoubted();
    const next = Math.max(refutation, this.#self.refutation) + 1;
    this.#self = { ...this.#self, refutation: next };
    this.#announceSelf();
  }

  #announceSelf(): void {
    this.#gossip.announce(encodeMessage({ type: "update", record: this.#self }));
    this.#gossip.news(this.#self);
  }
}
