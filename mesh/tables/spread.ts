/**
 * The eager road of own changes: at once to every live peer, directly or by ranges, acknowledged
 * and retried; and the count of who holds them, for which `announce` waits.
 *
 * Law: a peer counts as holding a change when it or the head of its range said so, never by
 * guess. Whatever is lost on this road, exchange.ts repairs.
 */
import { LIMITS, TIMES } from "../limits.ts";
import type { Member } from "../membership/membership.ts";
import { sample } from "../membership/shuffle.ts";
import type { Cancel, Clock, HostPort, PeerId, Random } from "../ports.ts";
import type { LivePeers } from "./live-peers.ts";
import type { Delta } from "./messages.ts";
import { type Ack, type Cover, encodeTablesMessage, markOf, pieces } from "./push.ts";
import { type RangeCourse, RangePush } from "./range-push.ts";
import { cutRanges, retryMs } from "./ranges.ts";
import type { Replica } from "./replica.ts";

/** The first change goes at once; what follows within this goes together. */
const GATHER_MS = 2;
/** Range pushes under way; an older one is left to the direct retries. */
const RANGE_PUSHES_MAX = 8;

interface SpreadPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly peers: LivePeers;
  readonly send: (to: HostPort, packet: Uint8Array) => void;
  readonly sendAll: (to: readonly HostPort[], packet: Uint8Array) => void;
  /** Makes a peer compare digests, and fetch or answer. */
  readonly sendDigest: (to: HostPort) => void;
}

interface Waiter {
  readonly seq: number;
  /** BOUNDED: the live members (peersMax). */
  late: Set<PeerId>;
  readonly done: (late: readonly PeerId[]) => void;
}

export class Spread {
  readonly #ports: SpreadPorts;
  readonly #replica: Replica;
  /** BOUNDED: one entry a member (peersMax): own sequence number it is known to hold. */
  readonly #acked = new Map<PeerId, number>();
  /** BOUNDED: one entry a driver call in flight, each with a deadline. */
  readonly #waiters = new Set<Waiter>();
  /** BOUNDED: RANGE_PUSHES_MAX. */
  #rangePushes: RangePush[] = [];
  #cancelFlush: Cancel | undefined;
  #cancelRetry: Cancel | undefined;
  #pushedSeq = 0;
  #pushedMs = Number.NEGATIVE_INFINITY;
  #tries = 0;
  #started = false;

  constructor(ports: SpreadPorts, replica: Replica) {
    this.#ports = ports;
    this.#replica = replica;
  }

  /** Changes made before are left to the exchange. */
  start(): void {
    this.#started = true;
    this.#pushedSeq = this.#replica.ownSeq;
  }

  stop(): void {
    this.#started = false;
    this.#cancelFlush?.();
    this.#cancelRetry?.();
    for (const push of this.#rangePushes.splice(0)) push.stop();
    for (const waiter of [...this.#waiters]) waiter.done([...waiter.late]);
  }

  /** Own rows changed: they are pushed as soon as whoever changes them is done, or soon after. */
  changed(): void {
    if (!this.#started || this.#cancelFlush !== undefined) return;
    if (this.#replica.ownSeq === this.#pushedSeq) return;
    const waitMs = Math.max(0, this.#pushedMs + GATHER_MS - this.#ports.clock.nowMs());
    this.#cancelFlush = this.#ports.clock.timer("push", waitMs, () => this.#flush());
  }

  /** Resolves when every live peer holds the newest own change, else at the deadline. */
  async announce(deadlineMs: number): Promise<{ readonly late: readonly PeerId[] }> {
    const seq = this.#replica.ownSeq;
    if (this.#started && !this.#flush()) this.#askLate(seq);
    return await new Promise((resolve) => {
      let cancel: Cancel = () => undefined;
      const waiter: Waiter = {
        seq,
        late: this.#late(seq),
        done: (late) => {
          cancel();
          this.#waiters.delete(waiter);
          resolve({ late });
        },
      };
      this.#waiters.add(waiter);
      const expire = () => waiter.done([...waiter.late]);
      cancel = this.#ports.clock.timer("announce", deadlineMs, expire);
      if (waiter.late.size === 0) waiter.done([]);
    });
  }

  /** A peer that came back may have lost what it held. */
  forget(peer: PeerId): void {
    this.#acked.delete(peer);
  }

  /** Who is live has changed: announcements wait for those who are. */
  membersChanged(): void {
    for (const waiter of [...this.#waiters]) {
      waiter.late = this.#late(waiter.seq);
      if (waiter.late.size === 0) waiter.done([]);
    }
  }

  takeAck(ack: Ack): void {
    if (this.#isOwn(ack)) this.learn(ack.sender, ack.seq);
  }

  takeCover(cover: Cover): void {
    if (!this.#isOwn(cover)) return;
    for (const push of this.#rangePushes) push.take(cover);
  }

  /** A peer holds own changes up to `seq`. Only of members: a stranger must not fill memory. */
  learn(peer: PeerId, seq: number): void {
    if (this.#ports.peers.get(peer) === undefined) return;
    if (seq <= (this.#acked.get(peer) ?? 0)) return;
    this.#acked.set(peer, seq);
    for (const waiter of [...this.#waiters]) {
      if (seq >= waiter.seq && waiter.late.delete(peer) && waiter.late.size === 0) waiter.done([]);
    }
  }

  #isOwn({ origin, incarnation, seq }: Ack | Cover): boolean {
    const { self, ownIncarnation, ownSeq } = this.#replica;
    return origin === markOf(self) && incarnation === ownIncarnation && seq <= ownSeq;
  }

  #isLate(peer: PeerId, seq: number): boolean {
    return (this.#acked.get(peer) ?? 0) < seq && this.#ports.peers.isLive(peer);
  }

  #late(seq: number): Set<PeerId> {
    const ids = this.#ports.peers.live().map(({ id }) => id);
    return new Set(ids.filter((id) => (this.#acked.get(id) ?? 0) < seq));
  }

  /** Pushes what is new; false when nothing is. */
  #flush(): boolean {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const from = this.#pushedSeq;
    this.#pushedSeq = this.#replica.ownSeq;
    if (from === this.#pushedSeq) return false;
    this.#pushedMs = this.#ports.clock.nowMs();
    const live = this.#ports.peers.live();
    if (live.length > LIMITS.directPeersMax) this.#pushByRanges(live, from);
    else this.#pushToAll(live, from);
    this.#tries = 0;
    this.#armRetry();
    return true;
  }

  /** Nothing is on its way to peers of which nothing is known: who holds all says so. */
  #askLate(seq: number): void {
    const late = this.#ports.peers.live().filter(({ id }) => this.#isLate(id, seq));
    const some = sample(this.#ports.random, late, 2 * LIMITS.directPeersMax);
    for (const { advertise } of some) this.#ports.sendDigest(advertise);
  }

  /** Directly, and by others to those that only others reach. */
  #pushToAll(live: readonly Member[], from: number): void {
    const isFar = ({ path }: Member): boolean => path?.isDirect === false;
    const far = live.filter(isFar);
    const near = live.filter((member) => !isFar(member));
    this.#pushTo(near, () => from);
    const cut = far.length === 0 ? undefined : pieces(this.#replica.ownDelta(from));
    if (cut === undefined || near.length === 0) return;
    const courses = far.map((member) => ({
      members: [member],
      range: { first: member.id, last: member.id },
      heads: near,
    }));
    this.#startRangePush(live, cut, courses);
  }

  #pushByRanges(live: readonly Member[], from: number): void {
    const cut = pieces(this.#replica.ownDelta(from));
    if (cut === undefined) {
      // Large rows travel by streams, from neighbour to neighbour, not all out of this peer.
      const some = sample(this.#ports.random, live, LIMITS.directPeersMax);
      for (const { advertise } of some) this.#ports.sendDigest(advertise);
      return;
    }
    const ranges = cutRanges(live, this.#ports.random);
    const courses = ranges.map((part) => ({ ...part, heads: part.members }));
    this.#startRangePush(live, cut, courses);
  }

  #startRangePush(
    live: readonly Member[],
    cut: readonly Delta[],
    courses: readonly RangeCourse[],
  ): void {
    const { clock, random, send } = this.#ports;
    const push = new RangePush(
      {
        clock,
        random,
        send,
        self: this.#replica.self,
        isLate: (peer, seq) => this.#isLate(peer, seq),
        learn: (peer, seq) => this.learn(peer, seq),
        leave: (late) => this.#pushLate(late),
      },
      { courses, stepMs: retryMs(live) },
      cut,
    );
    this.#rangePushes = [...this.#rangePushes.filter(({ done }) => !done), push];
    while (this.#rangePushes.length > RANGE_PUSHES_MAX) this.#rangePushes.shift()?.stop();
    push.start();
  }

  #armRetry(): void {
    this.#cancelRetry?.();
    const delayMs = TIMES.pushRetryMs * 2 ** this.#tries;
    this.#cancelRetry = this.#ports.clock.timer("push-retry", delayMs, () => {
      if (this.#rangePushes.some(({ done }) => !done)) {
        this.#armRetry();
        return;
      }
      this.#tries += 1;
      const late = this.#late(this.#pushedSeq);
      if (late.size === 0) return;
      this.#pushLate(this.#ports.peers.live().filter(({ id }) => late.has(id)));
      if (this.#tries < TIMES.pushTries) this.#armRetry();
    });
  }

  /** Directly, each from what it is known to hold; not to half a large mesh at once. */
  #pushLate(late: readonly Member[]): void {
    const some = sample(this.#ports.random, late, 2 * LIMITS.directPeersMax);
    this.#pushTo(some, (peer) => this.#acked.get(peer) ?? 0);
  }

  #pushTo(members: readonly Member[], since: (peer: PeerId) => number): void {
    const byStart = new Map<number, HostPort[]>();
    for (const { id, advertise } of members) {
      const from = since(id);
      byStart.set(from, [...(byStart.get(from) ?? []), advertise]);
    }
    for (const [from, addresses] of byStart) {
      const cut = this.#packetsFrom(from);
      // Too large, or cut off behind the floor: a digest makes the peer fetch it by stream.
      if (cut === undefined) for (const address of addresses) this.#ports.sendDigest(address);
      else for (const packet of cut) this.#ports.sendAll(addresses, packet);
    }
  }

  #packetsFrom(from: number): Uint8Array[] | undefined {
    const sender = this.#replica.self;
    const cut = pieces(this.#replica.ownDelta(from));
    return cut?.map((delta) => encodeTablesMessage({ type: "push", sender, delta }));
  }
}
