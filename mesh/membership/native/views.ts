/**
 * Anti-entropy of membership: every probe and ack carries a hash of its sender's view; where two
 * differ for longer than news takes to arrive, first the hashes of 32 parts are exchanged, then the
 * records of the parts that differ.
 *
 * Law: any two peers that can talk end up with one view, at a cost in what differs, not in what is.
 */
import type { Clock, HostPort, PeerId } from "../../ports.ts";
import { type Exchange, Pace } from "../exchange.ts";
import type { PeerRecord } from "../record.ts";
import type { Roster } from "../roster.ts";
import { differingBuckets } from "../view-hash.ts";
import type { NativeTiming } from "./config.ts";

interface Parts {
  readonly clock: Clock;
  readonly exchange: Exchange;
  readonly roster: Roster;
  readonly timing: NativeTiming;
  self(): PeerRecord;
}

export class Views {
  readonly #parts: Parts;
  readonly #pace = new Pace();
  #changedMs: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#changedMs = parts.clock.nowMs();
  }

  /** This peer's view has just changed; others are given time to change theirs. */
  changed(): void {
    this.#changedMs = this.#parts.clock.nowMs();
  }

  /** A member showed the hash of its view. */
  compare(to: HostPort, peer: PeerId, digest: Uint8Array | undefined): void {
    const { exchange, roster, timing, clock } = this.#parts;
    if (digest === undefined || exchange.agrees(digest)) return;
    const nowMs = clock.nowMs();
    if (nowMs - this.#changedMs < timing.compareMs / 2) return;
    if (!this.#pace.allows(`compare ${peer}`, nowMs, timing.compareMs)) return;
    exchange.send(to, peer, [{ type: "buckets", hashes: roster.buckets(this.#parts.self()) }]);
  }

  /** A member showed the hashes of its view's parts. */
  answer(to: HostPort, peer: PeerId, hashes: Uint8Array): void {
    const { exchange, roster, timing, clock } = this.#parts;
    const mask = differingBuckets(hashes, roster.buckets(this.#parts.self()));
    if (mask === 0 || roster.record(peer) === undefined) return;
    if (!this.#pace.allows(`parts ${peer}`, clock.nowMs(), timing.healMs / 4)) return;
    exchange.sendList(to, peer, true, mask);
  }
}
