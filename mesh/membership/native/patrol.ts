/**
 * Whom a peer probes while nothing is wrong: its neighbours on the id ring in turns, and all others
 * in shuffled rounds, as far as they were not heard from anyway.
 *
 * Law: each member is pinged, or pings, within the inner period and its grace, whoever is healthy;
 * the rounds cover every pair, in both directions, and measure every round trip.
 */
import type { Clock, PeerId, Random } from "../../ports.ts";
import type { Loops } from "../loops.ts";
import type { PeerRecord } from "../record.ts";
import type { Roster } from "../roster.ts";
import { ProbeOrder } from "../shuffle.ts";
import type { NativeTiming } from "./config.ts";
import type { Health } from "./health.ts";
import { type Neighbours, neighbours, Turns } from "./turns.ts";

interface Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly self: PeerId;
  readonly roster: Roster;
  readonly loops: Loops;
  readonly timing: NativeTiming;
  readonly health: Health;
  /** Smoothed round trip, null until measured. */
  rttMs(id: PeerId): number | null;
  /** Probes a member, unless that is under way. */
  probe(id: PeerId): void;
}

export class Patrol {
  readonly #parts: Parts;
  readonly #order: ProbeOrder;
  readonly #turns = new Turns();
  #ring: { readonly live: readonly PeerRecord[]; readonly of: Neighbours } | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#order = new ProbeOrder(parts.random);
  }

  start(): void {
    const { loops, timing } = this.#parts;
    loops.whileDue("inner", this.#draw(timing.innerMs), () => this.#converse("inner"));
    loops.whileDue("outer", this.#draw(timing.outerMs), () => this.#converse("outer"));
    loops.whileDue("round", this.#draw(timing.roundMs), () => this.#probeNext());
  }

  /** A live peer pinged this one. */
  pinged(id: PeerId): void {
    this.#turns.pinged(id, this.#parts.clock.nowMs());
  }

  /** A peer answered a ping of this one. */
  answered(id: PeerId): void {
    this.#turns.answered(id, this.#parts.clock.nowMs());
  }

  forget(id: PeerId): void {
    this.#turns.forget(id);
  }

  /** A suspect's neighbours may have died with it: those that took its place are probed at once. */
  suspected(suspect: PeerId): void {
    const { self, roster, probe } = this.#parts;
    const live = roster.live();
    const wereAlive = live.map((record) => {
      return record.meta.id === suspect ? { ...record, state: "alive" as const } : record;
    });
    const before = everyone(neighbours(self, wereAlive));
    if (!before.includes(suspect)) return;
    for (const id of everyone(neighbours(self, live))) {
      if (!before.includes(id)) probe(id);
    }
  }

  #draw(bound: number): number {
    return (this.#parts.random.u32() / 2 ** 32) * bound;
  }

  /** Pings the neighbours on the ring whose time it is; the wait for the next look. */
  #converse(which: keyof Neighbours): number {
    const { timing, health, clock, probe } = this.#parts;
    const nowMs = clock.nowMs();
    const periodMs = (which === "inner" ? timing.innerMs : timing.outerMs) * health.stretch;
    let waitMs = periodMs;
    for (const id of this.#neighbours()[which]) {
      const graceMs = timing.graceMs / 2 + this.#draw(timing.graceMs / 2);
      const restMs = this.#turns.dueMs(id, periodMs, graceMs) - nowMs;
      if (restMs > 0) waitMs = Math.min(waitMs, restMs);
      else probe(id);
    }
    return waitMs;
  }

  /** Looked for anew only when the roster has changed: it then makes another list. */
  #neighbours(): Neighbours {
    const { self, roster } = this.#parts;
    const live = roster.live();
    if (this.#ring?.live !== live) this.#ring = { live, of: neighbours(self, live) };
    return this.#ring.of;
  }

  /** Probes one of those that were not heard from for a round, or whose round trip is unknown. */
  #probeNext(): number {
    const { roster, timing, health, clock, rttMs, probe } = this.#parts;
    const sinceMs = clock.nowMs() - timing.roundMs;
    const quiet = roster
      .live()
      .map((record) => record.meta.id)
      .filter((id) => rttMs(id) === null || !this.#turns.heardSince(id, sinceMs));
    const id = this.#order.next(quiet);
    if (id !== undefined) probe(id);
    return timing.roundMs * health.stretch;
  }
}

const everyone = ({ inner, outer }: Neighbours): readonly PeerId[] => [...inner, ...outer];
