/**
 * The native engine's constants, each with its formula and what it costs, for a local network and
 * for a wide one, and the pure decisions that follow from them.
 *
 * Law (local network): a silent host is dead everywhere within 4 s at any size: inner 0.75 + grace
 * 0.1 + ping 0.05 + relays 0.2 + suspicion 2.5 = 3.6, of two or three members 3.9; a closed port
 * within 1 s: inner 0.75 + grace 0.1 + two pings 0.1. A process that is paused for 2 s is declared
 * dead by nobody: 0.25 + 2.5 s pass first.
 *
 * Idle cost, packets a second and peer: an exchange is two packets and serves two peers, so a pair
 * costs each of them one packet a period: 1/inner + 1/outer; a round is a peer's own: 2/round. That
 * is 1.33 + 0.33 + 0.32 = 1.99. The odd one out speaks with a pair: (1/inner) / N more. A packet is
 * 28 (IPv4, UDP) + 4 (envelope) + 17 (probe) = 49 bytes, sealed 84:
 * 97 B/s plain, 167 B/s sealed.
 */
import type { HealTiming } from "../timing.ts";

export interface NativeTiming extends HealTiming {
  /** Partners on the id ring exchange a probe so often: the longest wait for a first probe. */
  readonly innerMs: number;
  /** And neighbours that are no partners: for partners that die together. */
  readonly outerMs: number;
  /** Whose turn it is gets so much longer; more than a round trip, or both ping. */
  readonly graceMs: number;
  /** Each peer also probes all others in shuffled rounds, one each time: finds one-way cuts. */
  readonly roundMs: number;
  /** A timer that is late by so much shows that this process was paused. */
  readonly stallMs: number;
  /** A ping's patience is 4 smoothed round trips within these bounds. */
  readonly pingTimeoutMsMin: number;
  readonly pingTimeoutMsMax: number;
  /** Patience with relays and the stream probe, which run side by side after the ping. */
  readonly relayMs: number;
  /** Relays asked at once. */
  readonly relays: number;
  /** A relay says that it got no answer at this share of the asker's patience. */
  readonly nackShare: number;
  /** Lifeguard's local health, 0 to this, stretches own periods and timeouts up to 1 + this. */
  readonly healthMax: number;
  /** From suspicion to verdict once `confirmations` others confirmed it. */
  readonly suspicionMs: number;
  /** The same below four members, where only the suspect itself can refute. */
  readonly suspicionSmallMs: number;
  /** Unconfirmed, the suspicion runs this many times longer. */
  readonly suspicionStretch: number;
  /** Lifeguard's K: max - (max - min) * ln(C + 1) / ln(K + 1) after C confirmations. */
  readonly confirmations: number;
  /** Confirmations wait up to this, so that the first few make the others superfluous. */
  readonly confirmMs: number;
  /** About eight members tell a suspect so at this pace until the verdict. */
  readonly nudgeMs: number;
  /** News that waits for a probe to ride on goes out by itself at this pace, while there is any. */
  readonly gossipMs: number;
  /** To so many random members each time. */
  readonly gossipFanout: number;
  /** Each piece of news is sent this times log10(members + 1), rounded up, by each who hears it. */
  readonly gossipFactor: number;
  /**
   * Up to so many members all hear a peer's own news straight from it, and this many of more: 130
   * bytes each. Gossip alone leaves out e^-k of the members after k sendings by each.
   */
  readonly direct: number;
  /** About so many hearers of a suspicion probe the suspect at once. */
  readonly probers: number;
  /** Views that differ for this long are compared part by part, a pair at most this often. */
  readonly compareMs: number;
  /** A peer that left of its own will is forgotten after this. */
  readonly forgetLeftMs: number;
}

export const NATIVE_LAN: NativeTiming = {
  innerMs: 750,
  outerMs: 3000,
  graceMs: 100,
  roundMs: 6200,
  stallMs: 200,
  pingTimeoutMsMin: 50,
  pingTimeoutMsMax: 250,
  relayMs: 200,
  relays: 3,
  nackShare: 0.8,
  healthMax: 8,
  suspicionMs: 2500,
  suspicionSmallMs: 2800,
  suspicionStretch: 6,
  confirmations: 3,
  confirmMs: 150,
  nudgeMs: 200,
  gossipMs: 100,
  gossipFanout: 3,
  gossipFactor: 4,
  direct: 128,
  probers: 32,
  healMs: 400,
  healMaxMs: 1500,
  compareMs: 2000,
  forgetLeftMs: 24 * 3_600_000,
};

/** Round trips up to half a second and longer stalls; detection takes about four times as long. */
export const NATIVE_WAN: NativeTiming = {
  ...NATIVE_LAN,
  innerMs: 2400,
  outerMs: 10_000,
  graceMs: 600,
  roundMs: 12_000,
  stallMs: 750,
  pingTimeoutMsMin: 500,
  pingTimeoutMsMax: 2000,
  relayMs: 2000,
  suspicionMs: 10_000,
  suspicionSmallMs: 12_000,
  confirmMs: 500,
  nudgeMs: 800,
  gossipMs: 250,
  gossipFanout: 4,
  healMs: 2000,
  healMaxMs: 10_000,
  compareMs: 8000,
};

/** The same engine, every duration multiplied by `factor`; counts and shares stay. */
export function scaledNative(factor: number, base: NativeTiming = NATIVE_LAN): NativeTiming {
  const scaled = Object.entries(base).map(([key, value]) => {
    return [key, /Ms(M|$)/.test(key) ? value * factor : value];
  });
  return Object.fromEntries(scaled) as NativeTiming;
}

/** A direct ping's patience. Unmeasured peers get the longest. */
export function pingTimeoutMs(timing: NativeTiming, rttMs: number | null): number {
  const { pingTimeoutMsMin, pingTimeoutMsMax } = timing;
  if (rttMs === null) return pingTimeoutMsMax;
  return Math.min(pingTimeoutMsMax, Math.max(pingTimeoutMsMin, 4 * rttMs));
}

/**
 * How long a suspicion runs after `confirmations` others confirmed it. `live` counts the members
 * including this peer and the suspect, `able` those not suspected themselves. Beside the first
 * accuser `able - 1` may confirm, and one of them may be slow or deaf: where that leaves fewer than
 * `confirmations`, in a small mesh or a small part of one, fewer are asked for, but never none.
 */
export function windowMs(
  timing: NativeTiming,
  view: { readonly live: number; readonly able: number },
  confirmations: number,
): number {
  const least = view.live < 4 ? timing.suspicionSmallMs : timing.suspicionMs;
  if (view.live - 2 < timing.confirmations) return least;
  const wanted = Math.max(1, Math.min(timing.confirmations, view.able - 2));
  const most = least * timing.suspicionStretch;
  const share = Math.log(Math.min(confirmations, wanted) + 1) / Math.log(wanted + 1);
  return most - (most - least) * share;
}

/** How often each who hears a piece of news passes it on. */
export function transmitLimit(timing: NativeTiming, live: number): number {
  return timing.gossipFactor * Math.ceil(Math.log10(live + 1));
}

/** A timer that fires so late means that this process was paused, not that others are gone. */
export function wasStalled(timing: NativeTiming, latenessMs: number): boolean {
  return latenessMs > timing.stallMs;
}
