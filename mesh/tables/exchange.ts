/**
 * Anti-entropy: two peers compare version vectors over a stream and send one another exactly the
 * deltas the other lacks.
 *
 * Law: any two peers that can talk converge; at most one exchange a peer is under way.
 */
import { messageOf } from "../errors.ts";
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Log, PeerId, WireValue } from "../ports.ts";
import { readArray, readBoolean } from "../wire/read.ts";
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

interface Merging {
  /** Merges and tells watchers; true when some origin's log has a gap. */
  readonly merge: (deltas: readonly Delta[]) => boolean;
  /** The peer is known to hold own changes up to `seq`. */
  readonly learn: (peer: PeerId, seq: number) => void;
}

export class DigestExchange {
  readonly #ports: { readonly rpc: Rpc; readonly log: Log };
  readonly #replica: Replica;
  readonly #into: Merging;
  /** BOUNDED: one exchange a peer (peersMax). */
  readonly #underWay = new Set<PeerId>();
  readonly #cancels: Cancel[] = [];
  #started = false;

  constructor(ports: { readonly rpc: Rpc; readonly log: Log }, replica: Replica, into: Merging) {
    this.#ports = ports;
    this.#replica = replica;
    this.#into = into;
  }

  start(): void {
    this.#started = true;
    this.#cancels.push(
      this.#ports.rpc.serve("sync", async (from, body) => this.#serveSync(from, body)),
      this.#ports.rpc.serve("offer", async (from, body) => this.#serveOffer(from, body)),
    );
  }

  stop(): void {
    this.#started = false;
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  /** Begins an exchange with a peer unless one is under way. */
  with(peer: PeerId): void {
    if (!this.#started || this.#underWay.has(peer) || peer === this.#replica.self) return;
    if (this.#underWay.size >= LIMITS.peersMax) return;
    this.#underWay.add(peer);
    this.#run(peer)
      .catch((error: unknown) => {
        this.#ports.log.debug({ peer, error: messageOf(error) }, "digest exchange failed");
      })
      .finally(() => this.#underWay.delete(peer));
  }

  async #run(peer: PeerId): Promise<void> {
    const { rpc } = this.#ports;
    for (let more = true; more && this.#started; ) {
      const mine = vectorToWire(this.#replica.vector());
      const answer = await rpc.call(peer, "sync", [mine], TIMES.streamDeadlineMs);
      const [deltas, vector, cut] = readArray(answer, "sync answer", 3, 16);
      const fetched = readArray(deltas, "sync deltas", 0, LIMITS.peersMax).map(deltaFromWire);
      this.#into.merge(fetched);
      const theirs = vectorFromWire(vector);
      this.#learnFrom(peer, theirs);
      const lacking = this.#replica.deltasFor(theirs, LIMITS.syncBytesMax);
      if (lacking.length > 0) {
        await rpc.call(peer, "offer", [lacking.map(deltaToWire)], TIMES.streamDeadlineMs);
        const own = lacking.find((delta) => delta.origin === this.#replica.self);
        if (own !== undefined) this.#into.learn(peer, own.to);
      }
      more = readBoolean(cut, "sync more") && fetched.length > 0;
    }
  }

  #serveSync(from: PeerId, body: WireValue): WireValue {
    const theirs = vectorFromWire(readArray(body, "sync", 1, 8)[0]);
    this.#learnFrom(from, theirs);
    const deltas = this.#replica.deltasFor(theirs, LIMITS.syncBytesMax);
    const all = this.#replica.originsAhead(theirs);
    return [deltas.map(deltaToWire), vectorToWire(this.#replica.vector()), deltas.length < all];
  }

  #serveOffer(from: PeerId, body: WireValue): WireValue {
    const offered = readArray(readArray(body, "offer", 1, 8)[0], "offer", 0, LIMITS.peersMax);
    if (this.#into.merge(offered.map(deltaFromWire))) this.with(from);
    return null;
  }

  #learnFrom(peer: PeerId, theirs: readonly VectorEntry[]): void {
    const { self, ownIncarnation, ownSeq } = this.#replica;
    const mine = theirs.find((entry) => entry.origin === self);
    if (mine?.incarnation !== ownIncarnation || mine.seq > ownSeq) return;
    this.#into.learn(peer, mine.seq);
  }
}
