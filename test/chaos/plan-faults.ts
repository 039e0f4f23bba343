/**
 * Which fault comes when, from the seed alone. Law: daemon, engine, cable and clock of a host have
 * one fault at once, the LAN one partition, the mesh one removal of a peer.
 */
import type { SeededRandom } from "../lib/seeded-random.ts";
import { type Fault, type FaultKind, HOST_FAULTS, KERNEL_FAULTS } from "./action.ts";

/** Those that no packet and no command on a sound host may notice. */
export const DAEMON_FAULTS: readonly FaultKind[] = [
  ...(["daemon-kill", "daemon-pause", "daemon-stop", "nft", "clock"] as const),
];
export const FAULTS: readonly FaultKind[] = [
  ...HOST_FAULTS,
  ...KERNEL_FAULTS,
  ...(["loss", "mtu", "rate", "clock", "partition", "partition"] as const),
  ...(["rmpeer", "rmpeer"] as const),
];

/** The table is promised back within 30 s, which must be over at the quiet point. */
const GUARD_BACK_MS = 12_000;
/** After a fault there is some time to find one's feet; a boot takes longest. */
const REST_MS: Partial<Record<FaultKind, number>> = { power: 12_000, rmpeer: 25_000 };
const STEPS_S = [-86_400, -3_600, -45, 45, 3_600, 86_400];

export interface Surroundings {
  readonly hosts: readonly string[];
  /** The host whose state directory can be full; it is never without power. */
  readonly tight: string;
  readonly atMs: number;
  readonly roundMs: number;
  /** Until when a part has a fault. BOUNDED: a few parts a host. */
  readonly busyUntilMs: Map<string, number>;
}

/** A fault of this kind; undefined: what it is to hit has one already, or must not have it. */
export function drawFault(
  random: SeededRandom,
  kind: FaultKind,
  { hosts, tight, atMs, roundMs, busyUntilMs }: Surroundings,
): Fault | undefined {
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
  const host = kind === "disk-full" ? tight : pick(hosts);
  const forMs = 1500 + random.below(8000);
  if ((kind === "power" || kind === "rmpeer") && host === tight) return undefined;
  if (kind === "nft" && atMs > roundMs - GUARD_BACK_MS) return undefined;
  const slots = slotsOf(kind, host);
  if (slots.some((slot) => (busyUntilMs.get(slot) ?? 0) > atMs)) return undefined;
  const untilMs = atMs + forMs + (REST_MS[kind] ?? 4_000);
  for (const slot of slots) busyUntilMs.set(slot, untilMs);
  switch (kind) {
    case "nft":
    case "neigh":
    case "fdb":
      return { kind, host };
    case "loss":
      return { kind, host, percent: 1 + random.below(30), forMs };
    case "mtu":
      return { kind, host, bytes: pick([1400, 1300, 1492]), forMs };
    case "rate":
      return { kind, host, mbit: pick([1, 2, 8]), forMs };
    case "clock":
      return { kind, host, seconds: pick(STEPS_S), forMs };
    case "rmpeer":
      return { kind, host, isReplaced: random.chance(0.5), forMs };
    case "partition": {
      const isOneWay = random.chance(0.4);
      return { kind, groups: [[host], hosts.filter((one) => one !== host)], isOneWay, forMs };
    }
    default:
      return { kind, host, forMs };
  }
}

/** The parts that a fault keeps busy. */
function slotsOf(kind: FaultKind, host: string): string[] {
  if (kind === "partition") return ["lan"];
  if (kind === "clock") return [`clock ${host}`];
  if (["loss", "mtu", "rate", "link"].includes(kind)) return [`cable ${host}`];
  if (kind === "engine-kill" || kind === "engine-restart") return [`engine ${host}`];
  const whole = [`daemon ${host}`, `engine ${host}`];
  if (kind === "rmpeer") return [...whole, "roster"];
  return kind === "power" ? whole : [`daemon ${host}`];
}
