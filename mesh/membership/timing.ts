/**
 * The failure detector's constants, each with its formula and what changing it costs, and the
 * pure decisions that follow from them.
 *
 * Law: a killed peer is known by all of a small mesh within about 4.5 s, and a live one is not
 * declared dead at 30 % loss.
 */
import { LIMITS } from "../limits.ts";

/** How eagerly gone peers and unreached targets are greeted. */
export interface HealTiming {
  /** First retries of an unreached address come at a quarter of this, doubling. */
  readonly healMs: number;
  /** Longest wait between retries: how long a healed partition may go unnoticed by one pair. */
  readonly healMaxMs: number;
}

export interface SwimTiming extends HealTiming {
  /** One probe each interval. Costs two packets an interval; halving it halves detection time. */
  readonly intervalMs: number;
  /** A direct probe's patience. Below the round trip every probe goes through relays in vain. */
  readonly pingTimeoutMs: number;
  /** Patience with relays; ping and relays together fill one interval. */
  readonly pingReqTimeoutMs: number;
  /** Relays asked at once: at 20 % loss three fail together in 0.59^3 = 21 % of the cases. */
  readonly relays: number;
  /** From suspicion to verdict; a process that is paused for less is never declared dead. */
  readonly suspicionMs: number;
  /** The same below four members, where no relay confirms and only the suspect can refute. */
  readonly suspicionSmallMs: number;
  /** A suspect is told so at this pace: at 30 % loss 15 chances to refute all fail in 0.004 %. */
  readonly nudgeMs: number;
  /** One comparison of the whole member list with a random member; repairs what gossip lost. */
  readonly antiEntropyMs: number;
  /** Each update rides on factor * log10(members + 1) probes; direct spreading came before. */
  readonly disseminationFactor: number;
  /** News of this peer's own making goes straight to so many members; gossip does the rest. */
  readonly fanout: number;
  /** A peer that left of its own will is forgotten after this. */
  readonly forgetLeftMs: number;
}

export const SWIM_TIMING: SwimTiming = {
  intervalMs: 500,
  pingTimeoutMs: 200,
  pingReqTimeoutMs: 300,
  relays: 3,
  suspicionMs: 2500,
  suspicionSmallMs: 3000,
  nudgeMs: 200,
  healMs: 1000,
  healMaxMs: 3000,
  antiEntropyMs: 5000,
  disseminationFactor: 6,
  fanout: 32,
  forgetLeftMs: 24 * 3_600_000,
};

/** Round trips up to half a second; detection takes about four times as long. */
export const SWIM_WAN: SwimTiming = {
  ...SWIM_TIMING,
  intervalMs: 2500,
  pingTimeoutMs: 1000,
  pingReqTimeoutMs: 1500,
  suspicionMs: 10_000,
  suspicionSmallMs: 12_000,
  nudgeMs: 800,
  healMs: 2000,
  healMaxMs: 10_000,
  antiEntropyMs: 15_000,
};

/** The same detector, every duration multiplied by `factor`; counts stay. */
export function scaledTiming(factor: number, base: SwimTiming = SWIM_TIMING): SwimTiming {
  return {
    ...base,
    intervalMs: base.intervalMs * factor,
    pingTimeoutMs: base.pingTimeoutMs * factor,
    pingReqTimeoutMs: base.pingReqTimeoutMs * factor,
    suspicionMs: base.suspicionMs * factor,
    suspicionSmallMs: base.suspicionSmallMs * factor,
    nudgeMs: base.nudgeMs * factor,
    healMs: base.healMs * factor,
    healMaxMs: base.healMaxMs * factor,
    antiEntropyMs: base.antiEntropyMs * factor,
    forgetLeftMs: base.forgetLeftMs * factor,
  };
}

/** How long a suspicion runs before the verdict, by the number of live members, self included. */
export function suspicionMs(timing: SwimTiming, liveMembers: number): number {
  return liveMembers < 4 ? timing.suspicionSmallMs : timing.suspicionMs;
}

/** A gone peer's address is tried by all together about once in so long, whatever their number. */
const GONE_SPREAD_MS = 50;

/**
 * The wait after the `attempts`-th unanswered hello: heal/4, heal/2, heal, at most healMax; for the
 * address of a gone peer, which `live` members try, more in a large mesh: one of them is enough.
 */
export function retryDelayMs(timing: HealTiming, attempts: number, live = 1): number {
  const longestMs = Math.max(timing.healMaxMs, live * GONE_SPREAD_MS);
  return Math.min(longestMs, (timing.healMs / 4) * 2 ** Math.min(attempts - 1, 16));
}

/** About this many members nudge one suspect, whatever the size of the mesh. */
const NUDGERS = 8;

/** Whether this member nudges a suspect now; `draw` is uniform in [0, 2^32). */
export function nudges(liveMembers: number, draw: number): boolean {
  return draw / 2 ** 32 < NUDGERS / liveMembers;
}

/** A timer that fires so late means that this process was paused, not that others are gone. */
export function wasPaused(timing: { readonly intervalMs: number }, latenessMs: number): boolean {
  return latenessMs > timing.intervalMs / 4;
}

/** Packets leave room for the envelope and the seal around them. */
export const PACKET_BYTES_MAX = LIMITS.datagramPayloadBytesMax;
