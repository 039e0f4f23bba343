/**
 * Anti-entropy: two peers find by 32 hashes where their version vectors differ, compare only those
 * parts, and send one another exactly the deltas the other lacks. Two questions, four messages.
 *
 * Law: any two peers that can talk converge; at most one exchange a peer is under way, and a few
 * in all: a mesh that forms brings the same rows along many ways, so who had to wait is compared
 * with again first. Of those that bring much, one at a time.
 */
import { messageOf } from "../errors.ts";
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Clock, Log, PeerId, WireValue } from "../ports.ts";
import { readArray, readBoolean, readBytes, readInteger } from "../wire/read.ts";
import { Bulk } from "./bulk.ts";
import {
  type Delta,
  deltaFromWire,
  deltaToWire,
  type VectorEntry,
  vectorFromWire,
  vectorToWire,
} from "./messages.ts";
import type { Replica } from "./replica.ts";
import type { Rpc } from "./types.ts";
import { ALL_BUCKETS, BUCKET_HASHES_BYTES, inMask, STATE_HASH_BYTES } from "./vector-hash.ts";

/** Rounds of one exchange: a peer that takes nothing in must not keep this one busy. */
const ROUNDS_MAX = 64;
/** Exchanges under way: who meets a thousand at once learns all there is from the first few. */
const EXCHANGES_MAX = 32;
/** Exchanges begun here that others wait for; one that takes long is not waited for. */
const AT_ONCE = 3;
const SLOW_MS = 300;
/** Between looks at those who wait, as many each time. */
const NEXT_MS = 20;
/** Peers that wait for theirs; more are found again by the hashes on probes. */
const WAITING_MAX = 64;

interface Merging {
  /** Merges and tells watchers; true when some origin's log has a gap. */
  readonly merge: (deltas: readonly Delta[]) => boolean;
  /** The peer is known to hold own changes up to `seq`. */
  readonly learn: (peer: PeerId, seq: number) => void;
  /** Compares digests with a peer, which may be equal by now. */
  readonly compare: (peer: PeerId) => void;
  /** Compares with anyone: what one peer had may be news to others, and others may have more. */
  readonly compareAny: () => void;
}

interface ExchangePorts {
  readonly rpc: Rpc;
  readonly clock: Clock;
  readonly log: Log;
}

export class DigestExchange {
  readonly #ports: ExchangePorts;
  readonly #replica: Replica;
  readonly #into: Merging;
  /** BOUNDED: EXCHANGES_MAX; who is passed over is met again by the next digests. */
  readonly #underWay = new Set<PeerId>();
  /** BOUNDED: WAITING_MAX peers that differ, with this peer's state when that was seen. */
  readonly #waiting = new Map<PeerId, Uint8Array>();
  readonly #bulk: Bulk;
  readonly #cancels: Cancel[] = [];
  #running = 0;
  #cancelNext: Cancel | undefined;
  #started = false;

  constructor(ports: ExchangePorts, replica: Replica, into: Merging) {
    this.#ports = ports;
    this.#replica = replica;
    this.#into = into;
    this.#bulk = new Bulk(ports.clock, () => this.#next());
  }

  start(): void {
    this.#started = true;
    this.#cancels.push(
      this.#ports.rpc.serve("digest", async (from, body) => this.#serveDigest(from, body)),
      this.#ports.rpc.serve("sync", async (from, body) => this.#serveSync(from, body)),
    );
  }

  stop(): void {
    this.#started = false;
    this.#waiting.clear();
    this.#bulk.stop();
    this.#cancelNext?.();
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  /** Begins an exchange with a peer that differs, unless one is under way: now or in its turn. */
  with(peer: PeerId): void {
    if (!this.#started || this.#underWay.has(peer) || peer === this.#replica.self) return;
    if (this.#underWay.size >= EXCHANGES_MAX) return;
    if (this.#running < AT_ONCE) this.#begin(peer);
    else this.#wait(peer);
  }

  #wait(peer: PeerId): void {
    if (this.#waiting.size < WAITING_MAX) this.#waiting.set(peer, this.#replica.digest());
  }

  #begin(peer: PeerId): void {
    this.#underWay.add(peer);
    this.#running += 1;
    let isCounted = true;
    const release = (): void => {
      if (!isCounted) return;
      isCounted = false;
      this.#running -= 1;
      this.#next();
    };
    const cancel = this.#ports.clock.timer("exchange", SLOW_MS, release);
    const before = this.#replica.digest();
    this.#run(peer)
      .catch((error: unknown) => {
        this.#ports.log.debug({ peer, error: messageOf(error) }, "digest exchange failed");
      })
      .finally(() => {
        cancel();
        this.#underWay.delete(peer);
        this.#passOn(before);
        release();
      });
  }

  /** What came may be news to others, and they may have more: so rows go round without a pause. */
  #passOn(before: Uint8Array): void {
    if (!this.#started || this.#waiting.size > 0) return;
    if (Buffer.compare(before, this.#replica.digest()) !== 0) this.#into.compareAny();
  }

  /** Who waits differs still if nothing has changed here; otherwise it is asked. */
  #next(): void {
    this.#cancelNext?.();
    this.#cancelNext = undefined;
    if (this.#bulk.isUnderWay) return;
    const own = this.#replica.digest();
    const some = [...this.#waiting].slice(0, AT_ONCE - this.#running);
    for (const [peer, state] of some) {
      this.#waiting.delete(peer);
      if (Buffer.compare(own, state) === 0) this.with(peer);
      else this.#into.compare(peer);
    }
    if (this.#waiting.size === 0 || this.#running >= AT_ONCE) return;
    this.#cancelNext = this.#ports.clock.timer("exchange-next", NEXT_MS, () => this.#next());
  }

  async #run(peer: PeerId): Promise<void> {
    const { rpc } = this.#ports;
    const replica = this.#replica;
    let more = true;
    for (let round = 0; more && this.#started && round < ROUNDS_MAX; round += 1) {
      const ownSeq = replica.ownSeq;
      const question = [replica.buckets(), replica.digest(), replica.changes];
      const answer = await rpc.call(peer, "digest", question, TIMES.streamDeadlineMs);
      const [maskItem, vector] = readArray(answer, "digest answer", 2, 16);
      const mask = readInteger(maskItem, "digest mask", 0, ALL_BUCKETS);
      const theirs = vectorFromWire(vector);
      if (inMask(mask, replica.self)) this.#learnOwn(peer, theirs);
      else this.#into.learn(peer, ownSeq);
      if (mask === 0) return;
      const isLarge = this.#bulk.isLarge(replica.missing(theirs));
      if (isLarge && this.#bulk.isUnderWay) {
        this.#wait(peer);
        return;
      }
      if (isLarge) this.#bulk.begin(peer);
      try {
        more = await this.#swap(peer, mask, theirs);
      } finally {
        if (isLarge) this.#bulk.end(peer);
      }
    }
  }

  /** Sends what the peer lacks, takes what is lacking here; true while either has more. */
  async #swap(peer: PeerId, mask: number, theirs: readonly VectorEntry[]): Promise<boolean> {
    const offer = this.#replica.deltasFor(theirs, LIMITS.syncBytesMax, mask);
    const mine = vectorToWire(this.#replica.vector(mask));
    const question = [mask, mine, offer.deltas.map(deltaToWire)];
    const answer = await this.#ports.rpc.call(peer, "sync", question, TIMES.streamDeadlineMs);
    // What comes after the end would be shown and not saved.
    if (!this.#started) return false;
    const [deltas, moreItem] = readArray(answer, "sync answer", 2, 16);
    const fetched = readArray(deltas, "sync deltas", 0, LIMITS.peersMax).map(deltaFromWire);
    this.#into.merge(fetched);
    const own = offer.deltas.find((delta) => delta.origin === this.#replica.self);
    if (own !== undefined) this.#into.learn(peer, own.to);
    return offer.more || (readBoolean(moreItem, "sync more") && fetched.length > 0);
  }

  async #serveDigest(from: PeerId, body: WireValue): Promise<WireValue> {
    const [bucketsItem, digestItem, changes] = readArray(body, "digest", 2, 8);
    const buckets = readBytes(bucketsItem, "buckets", BUCKET_HASHES_BYTES, BUCKET_HASHES_BYTES);
    const digest = readBytes(digestItem, "state", STATE_HASH_BYTES, STATE_HASH_BYTES);
    if (changes !== undefined) await this.#takeTurn(from, readInteger(changes, "changes"));
    // It is the other's exchange now; if something is still missing here, hashes will tell.
    this.#waiting.delete(from);
    const mask = this.#replica.differing(buckets, digest);
    if (!inMask(mask, this.#replica.self)) this.#into.learn(from, this.#replica.ownSeq);
    return [mask, vectorToWire(this.#replica.vector(mask))];
  }

  /** Who will bring much is answered when nobody else does, by what is then still missing. */
  async #takeTurn(from: PeerId, changes: number): Promise<void> {
    const isLarge = (): boolean => this.#bulk.isLarge(changes - this.#replica.changes);
    while (isLarge() && this.#bulk.isUnderWay) await this.#bulk.over();
    if (this.#started && isLarge()) this.#bulk.begin(from);
  }

  #serveSync(from: PeerId, body: WireValue): WireValue {
    const [maskItem, vector, offered] = readArray(body, "sync", 3, 8);
    const mask = readInteger(maskItem, "sync mask", 0, ALL_BUCKETS);
    const theirs = vectorFromWire(vector);
    const deltas = readArray(offered, "sync offer", 0, LIMITS.peersMax).map(deltaFromWire);
    // Of a bucket that the mask leaves out nothing is known now: it was equal a while ago.
    if (inMask(mask, this.#replica.self)) this.#learnOwn(from, theirs);
    const before = this.#replica.digest();
    const isBehind = this.#into.merge(deltas);
    this.#bulk.end(from);
    if (isBehind) this.with(from);
    else this.#passOn(before);
    const answer = this.#replica.deltasFor(theirs, LIMITS.syncBytesMax, mask);
    return [answer.deltas.map(deltaToWire), answer.more];
  }

  /** What a peer's entries tell of how far it holds this peer's own log. */
  #learnOwn(peer: PeerId, theirs: readonly VectorEntry[]): void {
    const { self, ownIncarnation } = this.#replica;
    const mine = theirs.find((entry) => entry.origin === self);
    if (mine?.incarnation !== ownIncarnation || mine.seq > this.#replica.ownSeq) return;
    this.#into.learn(peer, mine.seq);
  }
}
