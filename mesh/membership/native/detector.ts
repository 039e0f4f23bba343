/**
 * The failure detector: what a failed probe means, and how doubt spreads.
 *
 * Law: whoever hears of a suspicion probes the suspect at once and tells it; the first few that
 * fail confirm it. Every verdict rests on this peer's own clock and own probes.
 */
import type { Clock, HostPort, Log, PeerId, Random, Streams } from "../../ports.ts";
import { AckLedger } from "../ack-ledger.ts";
import type { Loops } from "../loops.ts";
import type { Evidence } from "../membership.ts";
import { encodeMessage, type Message } from "../packet.ts";
import { PathWatch } from "../path-watch.ts";
import type { Paths } from "../paths.ts";
import { compareLives, lifeOf, type PeerRecord } from "../record.ts";
import { isLive, type Roster } from "../roster.ts";
import type { NativeTiming } from "./config.ts";
import { wasStalled, windowMs } from "./config.ts";
import { Doubts } from "./doubts.ts";
import type { Gossip } from "./gossip.ts";
import { Health } from "./health.ts";
import { Patrol } from "./patrol.ts";
import type { Post } from "./post.ts";
import { Prober } from "./prober.ts";
import { RelayDesk } from "./relay-desk.ts";
import { SEQS } from "./short.ts";

interface Ports {
  readonly streams: Pick<Streams, "probe">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Parts {
  readonly self: PeerId;
  readonly roster: Roster;
  readonly post: Post;
  readonly paths: Paths;
  readonly gossip: Gossip;
  readonly loops: Loops;
  readonly timing: NativeTiming;
  /** Enters a verdict of this detector. */
  observe(record: PeerRecord, evidence?: Evidence): void;
}

/** About this many members nudge one suspect, whatever the size of the mesh. */
const NUDGERS = 8;
/** Below this size all confirm at once, a few packets each. */
const CONFIRM_AT_ONCE = 8;

export class Detector {
  readonly #ports: Ports;
  readonly #parts: Parts;
  readonly #ledger: AckLedger;
  readonly #health: Health;
  readonly #doubts: Doubts;
  readonly #prober: Prober;
  readonly #desk: RelayDesk;
  readonly #patrol: Patrol;
  #seq: number;

  constructor(ports: Ports, parts: Parts) {
    const { timing, post } = parts;
    this.#ports = ports;
    this.#parts = parts;
    this.#seq = ports.random.u32() % SEQS;
    this.#health = new Health(timing.healthMax);
    this.#desk = new RelayDesk(ports.clock, timing.nackShare, post);
    this.#ledger = new AckLedger((id, at) => parts.paths.answered(id, at));
    this.#doubts = this.#makeDoubts();
    this.#prober = this.#makeProber();
    this.#patrol = new Patrol({
      ...ports,
      ...parts,
      health: this.#health,
      rttMs: (id) => this.rttMs(id),
      probe: (id) => this.#prober.start(id),
    });
    new PathWatch({ ...parts, ...ports, ping: (id, at) => this.#pingAt(id, at) });
  }

  start(): void {
    this.#patrol.start();
  }

  stop(): void {
    this.#doubts.clear();
    this.#prober.stop();
    this.#desk.stop();
  }

  /** Smoothed round trip to a peer, null until measured. */
  rttMs(id: PeerId): number | null {
    return this.#ledger.rttMs(id);
  }

  /** Drops what is known of a peer whose process is gone. */
  forget(id: PeerId): void {
    this.#doubts.drop(id);
    this.#ledger.forget(id);
    this.#patrol.forget(id);
  }

  /** Somebody suspected this very peer: it may be the slow one. */
  wasDoubted(): void {
    this.#health.note(1);
  }

  /** A record was entered, by whomever. */
  changed(record: PeerRecord, isNewSuspect: boolean): void {
    const { id } = record.meta;
    if (record.state === "suspect") this.#doubt(record, isNewSuspect);
    else this.#doubts.drop(id);
    this.#doubts.review();
  }

  /** A ping arrived from `sender`, a member. */
  pinged(sender: PeerId): void {
    this.#patrol.pinged(sender);
  }

  /** An ack arrived from `sender`. */
  acked(seq: number, sender: PeerId): void {
    if (!this.#ledger.acked(seq, sender, this.#ports.clock.nowMs())) return;
    this.#patrol.answered(sender);
    this.#prober.acked(seq);
    this.#desk.acked(seq);
  }

  /** A relay had no answer in time. */
  nacked(seq: number, relay: PeerId): void {
    this.#prober.nacked(seq, relay);
  }

  /** A member asks for a ping of another one. */
  relay(message: Message & { type: "pingReq" }, asker: PeerId, from: HostPort): void {
    const { roster, timing, post } = this.#parts;
    const target = roster.record(message.destination);
    if (target === undefined || roster.record(asker) === undefined) return;
    const ownSeq = this.#nextSeq();
    const patienceMs = message.patienceMs ?? timing.relayMs;
    if (!this.#desk.take(ownSeq, { asker, from, seq: message.seq, patienceMs })) return;
    const sentMs = this.#ports.clock.nowMs();
    const { id, advertise: at } = target.meta;
    this.#ledger.sent(ownSeq, { peer: id, sentMs, relayed: false, at });
    post.ping(target, ownSeq);
  }

  /** A ping beside the probes: it may show a path, its loss shows nothing. */
  #pingAt(id: PeerId, at: HostPort): void {
    const record = this.#parts.roster.record(id);
    if (record === undefined || !isLive(record)) return;
    const seq = this.#nextSeq();
    this.#ledger.sent(seq, { peer: id, sentMs: this.#ports.clock.nowMs(), relayed: false, at });
    this.#parts.post.ping({ ...record, meta: { ...record.meta, advertise: at } }, seq);
  }

  /** An accusation whose record was already judged and entered. */
  accused({ record, accuser, refused }: Message & { type: "accuse" }): void {
    const { id } = record.meta;
    const known = this.#parts.roster.record(id);
    if (known?.state !== "suspect" || known.refutation !== record.refutation) return;
    if (compareLives(lifeOf(known), lifeOf(record)) !== 0) return;
    if (!this.#doubts.confirm(id, record.refutation, accuser)) return;
    this.#parts.gossip.pass(id, accuser, accusation(record, accuser, refused));
    if (refused) this.#prober.start(id, true);
  }

  #makeDoubts(): Doubts {
    const { timing, roster } = this.#parts;
    return new Doubts(this.#ports.clock, {
      accusersMax: timing.confirmations + 1,
      wasStalled: (latenessMs) => wasStalled(timing, latenessMs),
      secondLookMs: 3 * timing.nudgeMs,
      expire: (id) => this.#declareDead(id, "silent"),
      windowMs: (confirmations) => {
        const live = roster.liveCount + 1;
        return windowMs(timing, { live, able: live - this.#doubts.size }, confirmations);
      },
    });
  }

  #makeProber(): Prober {
    const { post, roster, timing, paths } = this.#parts;
    const links = {
      record: (id: PeerId) => roster.record(id),
      live: () => roster.live(),
      nextSeq: () => this.#nextSeq(),
      ping: (target: PeerRecord, seq: number) => post.ping(target, seq),
      others: (id: PeerId) => {
        paths.doubt(id);
        return paths.others(id);
      },
      relayed: (id: PeerId) => paths.missed(id),
      askRelay: post.askRelay.bind(post),
      reach: (address: HostPort, deadlineMs: number) => {
        return this.#ports.streams.probe(address, deadlineMs);
      },
      failed: (id: PeerId, evidence: Evidence) => this.#failed(id, evidence),
    };
    return new Prober(this.#ports, { timing, health: this.#health, ledger: this.#ledger, links });
  }

  #draw(bound: number): number {
    return (this.#ports.random.u32() / 2 ** 32) * bound;
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) % SEQS;
    return this.#seq;
  }

  #failed(id: PeerId, evidence: Evidence): void {
    const { roster, timing, loops, observe } = this.#parts;
    const record = roster.record(id);
    if (record === undefined || !isLive(record)) return;
    if (evidence === "refused") {
      this.#declareDead(id, evidence);
      this.#accuse(record, true);
    } else if (record.state === "alive") {
      observe({ ...record, state: "suspect" });
      if (this.#doubts.confirm(id, record.refutation, this.#parts.self)) {
        this.#accuse(record, false);
      }
    } else {
      const isSmall = roster.liveCount < CONFIRM_AT_ONCE;
      const delayMs = isSmall ? 0 : this.#draw(timing.confirmMs);
      loops.whileDue(`confirm-${id}`, delayMs, () => this.#confirm(record));
    }
  }

  /** Adds this peer's voice to a suspicion, unless enough others did. */
  #confirm({ meta, refutation }: PeerRecord): undefined {
    const { roster, self } = this.#parts;
    const record = roster.record(meta.id);
    if (record?.state !== "suspect" || record.refutation !== refutation) return;
    if (this.#doubts.confirm(meta.id, refutation, self)) this.#accuse(record, false);
  }

  /** Says what this peer found; who only found the same closed port leaves it to gossip. */
  #accuse(record: PeerRecord, refused: boolean): void {
    const { self, gossip } = this.#parts;
    const word = accusation(record, self, refused);
    if (!refused || record.state === "alive") gossip.announce(word);
    gossip.pass(record.meta.id, self, word);
  }

  /** Every hearer probes the suspect at once; in a large mesh a few dozen of them are enough. */
  #doubt({ meta, refutation }: PeerRecord, isNew: boolean): void {
    const { roster, timing, loops } = this.#parts;
    this.#doubts.raise(meta.id, refutation);
    if (isNew && this.#draw(roster.liveCount + 1) < timing.probers) this.#prober.start(meta.id);
    if (isNew) this.#patrol.suspected(meta.id);
    loops.whileDue("nudge", timing.nudgeMs, () => this.#nudge());
  }

  /** Tells suspects so, for them to refute. */
  #nudge(): number | undefined {
    const { roster, post, timing } = this.#parts;
    for (const id of this.#doubts.ids()) {
      const record = roster.record(id);
      if (record === undefined || this.#draw(roster.liveCount + 1) >= NUDGERS) continue;
      post.send(record.meta.advertise, id, [encodeMessage({ type: "update", record })]);
    }
    return this.#doubts.size === 0 ? undefined : timing.nudgeMs;
  }

  #declareDead(id: PeerId, evidence: Evidence): void {
    const { roster, observe } = this.#parts;
    const record = roster.record(id);
    if (record !== undefined && isLive(record)) observe({ ...record, state: "dead" }, evidence);
  }
}

function accusation(record: PeerRecord, accuser: PeerId, refused: boolean): Uint8Array {
  const suspect = { ...record, state: "suspect" } as const;
  return encodeMessage({ type: "accuse", record: suspect, accuser, refused });
}
