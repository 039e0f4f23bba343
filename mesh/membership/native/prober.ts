/**
 * One probe from its ping to its verdict: a direct ping; then, side by side, the ping again, three
 * relays and a stream connect; then, where only the stream got through, all of it once more.
 *
 * Law: no single lost packet and no single dead path accuses anyone. A peer whose own timers were
 * late, or whom any ack reached in time, accuses nobody. A refused connect is proof only together
 * with two unanswered pings.
 */
import { messageOf } from "../../errors.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Random, Reachability } from "../../ports.ts";
import type { AckLedger } from "../ack-ledger.ts";
import type { Evidence } from "../membership.ts";
import { compareLives, lifeOf, type PeerRecord } from "../record.ts";
import { isLive } from "../roster.ts";
import { sample } from "../shuffle.ts";
import { type NativeTiming, pingTimeoutMs, wasStalled } from "./config.ts";
import type { Health } from "./health.ts";

interface Probe {
  readonly target: PeerRecord;
  readonly startMs: number;
  /** Needs no second ping before a refused connect counts: somebody else sent it. */
  isUrgent: boolean;
  readonly isRepeat: boolean;
  /** BOUNDED: two pings, one to each other address, and the relays. */
  readonly seqs: Set<number>;
  /** BOUNDED: the relays asked. */
  readonly relays: Map<number, PeerId>;
  found: Reachability | undefined;
  /** When the last ping that a refusal needs was sent; infinite before. */
  provenMs: number;
  /** Round trip of the stream connect, for peers that never acknowledged a ping. */
  connectMs: number | null;
  cancel: Cancel;
}

interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface ProberLinks {
  record(id: PeerId): PeerRecord | undefined;
  live(): readonly PeerRecord[];
  nextSeq(): number;
  ping(target: PeerRecord, seq: number): void;
  /** The addresses of a peer beside the one that did not answer in time. */
  others(id: PeerId): readonly HostPort[];
  /** Only a relay reached the peer. */
  relayed(id: PeerId): void;
  askRelay(relay: PeerRecord, seq: number, target: PeerRecord, patienceMs: number): void;
  reach(address: HostPort, deadlineMs: number): Promise<Reachability>;
  failed(id: PeerId, evidence: Evidence): void;
}

export class Prober {
  /** BOUNDED: live members (LIMITS.peersMax), one probe each. */
  readonly #probes = new Map<PeerId, Probe>();
  /** BOUNDED: the numbers of the probes above. */
  readonly #bySeq = new Map<number, Probe>();
  readonly #ports: Ports;
  readonly #timing: NativeTiming;
  readonly #health: Health;
  readonly #ledger: AckLedger;
  readonly #links: ProberLinks;

  constructor(
    ports: Ports,
    parts: { timing: NativeTiming; health: Health; ledger: AckLedger; links: ProberLinks },
  ) {
    this.#ports = ports;
    this.#timing = parts.timing;
    this.#health = parts.health;
    this.#ledger = parts.ledger;
    this.#links = parts.links;
  }

  /** Probes a live member unless that is under way; an urgent probe asks its host at once. */
  start(id: PeerId, isUrgent = false, isRepeat = false): void {
    const running = this.#probes.get(id);
    if (running !== undefined) {
      if (isUrgent && !running.isUrgent) this.#hurry(running);
      return;
    }
    const target = this.#links.record(id);
    if (target === undefined || !isLive(target)) return;
    const startMs = this.#ports.clock.nowMs();
    const probe: Probe = {
      target,
      startMs,
      isUrgent: false,
      isRepeat,
      seqs: new Set(),
      relays: new Map(),
      found: undefined,
      provenMs: Number.POSITIVE_INFINITY,
      connectMs: null,
      cancel: () => undefined,
    };
    this.#probes.set(id, probe);
    this.#ping(probe);
    this.#after(probe, this.#pingMs(probe), () => this.#widen(probe));
    if (isUrgent) this.#hurry(probe);
  }

  /** An ack that the ledger found genuine. */
  acked(seq: number): void {
    const probe = this.#bySeq.get(seq);
    if (probe === undefined) return;
    if (probe.relays.has(seq)) this.#links.relayed(probe.target.meta.id);
    this.#succeed(probe);
  }

  /** A relay works but had no answer from the target. */
  nacked(seq: number, relay: PeerId): void {
    const probe = this.#bySeq.get(seq);
    if (probe?.relays.get(seq) !== relay) return;
    probe.relays.delete(seq);
  }

  stop(): void {
    for (const probe of [...this.#probes.values()]) this.#end(probe);
  }

  #pingMs({ target, connectMs }: Probe): number {
    const rttMs = this.#ledger.rttMs(target.meta.id) ?? connectMs;
    return pingTimeoutMs(this.#timing, rttMs) * this.#health.stretch;
  }

  #hurry(probe: Probe): void {
    probe.isUrgent = true;
    if (probe.provenMs === Number.POSITIVE_INFINITY) probe.provenMs = probe.startMs;
    if (probe.found === undefined) this.#askHost(probe);
    else this.#weighRefusal(probe);
  }

  #ping(probe: Probe, at: HostPort = probe.target.meta.advertise): void {
    const { target } = probe;
    const seq = this.#number(probe, target.meta.id, false, at);
    this.#links.ping({ ...target, meta: { ...target.meta, advertise: at } }, seq);
  }

  #number(probe: Probe, peer: PeerId, relayed: boolean, at?: HostPort): number {
    const seq = this.#links.nextSeq();
    probe.seqs.add(seq);
    this.#bySeq.set(seq, probe);
    const sent = { peer, sentMs: this.#ports.clock.nowMs(), relayed };
    this.#ledger.sent(seq, at === undefined ? sent : { ...sent, at });
    return seq;
  }

  /** The direct ping was not answered. */
  #widen(probe: Probe): void {
    const { id } = probe.target.meta;
    const patienceMs = this.#timing.relayMs * this.#health.stretch;
    this.#ping(probe);
    for (const other of this.#links.others(id)) this.#ping(probe, other);
    if (!probe.isUrgent) probe.provenMs = this.#ports.clock.nowMs();
    const able = this.#links
      .live()
      .filter((record) => record.state === "alive" && record.meta.id !== id);
    for (const relay of sample(this.#ports.random, able, this.#timing.relays)) {
      const seq = this.#number(probe, relay.meta.id, true);
      probe.relays.set(seq, relay.meta.id);
      this.#links.askRelay(relay, seq, probe.target, patienceMs);
    }
    this.#after(probe, patienceMs, () => this.#conclude(probe));
    if (probe.found === undefined) this.#askHost(probe);
    else this.#weighRefusal(probe);
  }

  #askHost(probe: Probe): void {
    const { clock, log } = this.#ports;
    const deadlineMs = this.#timing.relayMs * this.#health.stretch;
    const askedMs = clock.nowMs();
    this.#links
      .reach(probe.target.meta.advertise, deadlineMs)
      .then((found) => {
        if (!this.#isCurrent(probe)) return;
        probe.found = found;
        probe.connectMs = clock.nowMs() - askedMs;
        this.#weighRefusal(probe);
      })
      .catch((error: unknown) => {
        const { id: peer, advertise } = probe.target.meta;
        log.debug({ peer, advertise, error: messageOf(error) }, "cannot ask a host");
      });
  }

  /** Shortens the wait where the port is closed. */
  #weighRefusal(probe: Probe): void {
    if (probe.found !== "refused" || probe.provenMs === Number.POSITIVE_INFINITY) return;
    const dueMs = probe.provenMs + this.#pingMs(probe);
    const restMs = Math.max(0, dueMs - this.#ports.clock.nowMs());
    this.#after(probe, restMs, () => this.#fail(probe, "refused"));
  }

  #conclude(probe: Probe): void {
    if (probe.found === "refused") {
      this.#fail(probe, "refused");
    } else if (probe.found === "open" && !probe.isRepeat && probe.target.state === "alive") {
      this.#end(probe);
      this.start(probe.target.meta.id, false, true);
    } else {
      this.#fail(probe, "silent");
    }
  }

  #fail(probe: Probe, evidence: Evidence): void {
    const { id } = probe.target.meta;
    if (this.#ledger.ackedSince(id, probe.startMs)) {
      this.#succeed(probe);
      return;
    }
    if (evidence === "silent") {
      // Relays without any word. A refusal comes before they could answer, and is the host's own.
      this.#health.note(probe.relays.size);
    }
    this.#end(probe);
    const known = this.#links.record(id);
    const isSameLife =
      known !== undefined && compareLives(lifeOf(known), lifeOf(probe.target)) === 0;
    if (isSameLife) this.#links.failed(id, evidence);
  }

  #succeed(probe: Probe): void {
    this.#health.note(-1);
    this.#end(probe);
  }

  #isCurrent(probe: Probe): boolean {
    return this.#probes.get(probe.target.meta.id) === probe;
  }

  #end(probe: Probe): void {
    probe.cancel();
    for (const seq of probe.seqs) this.#bySeq.delete(seq);
    if (this.#isCurrent(probe)) this.#probes.delete(probe.target.meta.id);
  }

  /** The probe's one timer; when it comes late, this process was paused and the probe is void. */
  #after(probe: Probe, delayMs: number, run: () => void): void {
    probe.cancel();
    const { clock } = this.#ports;
    const dueMs = clock.nowMs() + delayMs;
    probe.cancel = clock.timer("probe", delayMs, () => {
      if (!wasStalled(this.#timing, clock.nowMs() - dueMs)) {
        run();
        return;
      }
      this.#end(probe);
      // What the pause left open is asked anew.
      this.start(probe.target.meta.id, probe.isUrgent, probe.isRepeat);
    });
  }
}
