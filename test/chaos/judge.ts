/**
 * The laws, held against the facts of a run; pure. A violation is a line for people.
 */
import type { FaultKind } from "./action.ts";
import type { Answer, FaultSpan, LostPing, Refusal, Sighting } from "./facts.ts";

/** How long after its end a fault may still cost pings; faults that are not here cost none. */
const COSTS_PINGS_MS: Partial<Record<FaultKind, number>> = {
  link: 4_000,
  loss: 2_000,
  rate: 2_000,
  partition: 4_000,
  neigh: 5_000,
  fdb: 5_000,
  "engine-restart": Number.POSITIVE_INFINITY,
  "engine-kill": Number.POSITIVE_INFINITY,
  power: Number.POSITIVE_INFINITY,
  rmpeer: Number.POSITIVE_INFINITY,
};

/** Faults of a host under which Docker may refuse a command there, and how long after. */
const COSTS_COMMANDS_MS: Partial<Record<FaultKind, number>> = {
  "daemon-kill": 3_000,
  "daemon-pause": 3_000,
  "daemon-stop": 3_000,
  "disk-full": 3_000,
  "engine-restart": 5_000,
  "engine-kill": 5_000,
  power: 5_000,
  rmpeer: 5_000,
};

/** Under these another host that must be asked may not be reached. */
const OTHERS_FAULTS: readonly FaultKind[] = [
  ...(["partition", "link", "loss", "power", "rmpeer", "disk-full"] as const),
  ...(["daemon-kill", "daemon-pause", "daemon-stop"] as const),
];

/** When libnetwork ends namespaces that nobody uses, and then some. */
const OLD_SANDBOXES_MS = 90_000;
/** The grace for the entries of a peer that has an heir, and the full pass that ends them. */
const FORMER_ENTRIES_MS = 60_000 + 35_000;

/** Names are there before Docker starts the process, and this long before it is seen to run. */
const START_MS = 10_000;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/**
 * An address that two containers had at one instant: one of them seen with it before and after
 * the other was. Each pair of containers is named once.
 */
export function doubles(sightings: readonly Sighting[]): string[] {
  const byIp = new Map<string, Sighting[]>();
  for (const one of sightings) {
    const seen = byIp.get(one.ip);
    if (seen === undefined) byIp.set(one.ip, [one]);
    else seen.push(one);
  }
  const found = new Set<string>();
  for (const [ip, seen] of byIp) {
    if (new Set(seen.map(({ id }) => id)).size < 2) continue;
    for (const one of spans(seen)) {
      const other = seen.find(
        ({ id, atMs }) => id !== one.id && atMs >= one.fromMs && atMs <= one.toMs,
      );
      if (other === undefined) continue;
      const pair = [`${one.name} on ${one.host}`, `${other.name} on ${other.host}`].sort();
      found.add(`address ${ip} twice: ${pair.join(" and ")}, at ${seconds(other.atMs)}`);
    }
  }
  return [...found];
}

/** For each container, from its first sighting to its last, without gaps of more than 5 s. */
function spans(seen: readonly Sighting[]): (Sighting & { fromMs: number; toMs: number })[] {
  const open = new Map<string, Sighting & { fromMs: number; toMs: number }>();
  const all: (Sighting & { fromMs: number; toMs: number })[] = [];
  for (const one of seen) {
    const span = open.get(one.id);
    if (span !== undefined && one.atMs - span.toMs <= 5_000) {
      span.toMs = one.atMs;
      continue;
    }
    const fresh = { ...one, fromMs: one.atMs, toMs: one.atMs };
    open.set(one.id, fresh);
    all.push(fresh);
  }
  return all;
}

/** Pings lost while nothing was wrong that may cost one. Neighbouring losses are one line. */
export function unexplainedLosses(
  lost: readonly LostPing[],
  faults: readonly FaultSpan[],
): string[] {
  const unexplained = lost.filter(
    ({ atMs, from, to }) =>
      !faults.some((fault) => {
        const afterMs = COSTS_PINGS_MS[fault.kind];
        if (afterMs === undefined) return false;
        if (fault.host !== null && fault.host !== from && fault.host !== to) return false;
        return atMs >= fault.fromMs - 1_000 && atMs <= fault.toMs + afterMs;
      }),
  );
  const lines = new Map<string, LostPing[]>();
  for (const ping of unexplained) {
    const key = `${ping.from} to ${ping.to}`;
    lines.set(key, [...(lines.get(key) ?? []), ping]);
  }
  return [...lines].map(([pair, pings]) => {
    const first = pings[0]?.atMs ?? 0;
    const during = faults.filter(({ fromMs, toMs }) => first >= fromMs - 1_000 && first <= toMs);
    const meanwhile = during.map(({ kind, host }) => `${kind} ${host ?? ""}`).join(", ");
    const last = pings.at(-1)?.atMs ?? 0;
    const span = `${seconds(first)} to ${seconds(last)}`;
    return `${pings.length} pings lost from ${pair}, ${span}, during: ${meanwhile || "nothing"}`;
  });
}

/** Docker commands refused on a host that nothing was wrong with. */
export function unexplainedRefusals(
  refusals: readonly Refusal[],
  faults: readonly FaultSpan[],
): string[] {
  return refusals
    .filter(
      (refusal) =>
        !faults.some((fault) => {
          const isOwn = fault.host === refusal.host;
          const isOfOther = OTHERS_FAULTS.includes(fault.kind) && refusal.needsOthers;
          const afterMs = (isOwn ? COSTS_COMMANDS_MS[fault.kind] : undefined) ?? 3_000;
          if (!isOfOther && !(isOwn && fault.kind in COSTS_COMMANDS_MS)) return false;
          return refusal.toMs >= fault.fromMs && refusal.fromMs <= fault.toMs + afterMs;
        }),
    )
    .map(({ step, host, text }) => `#${step} refused on ${host} for no reason: ${text}`);
}

/**
 * Hosts whose engine was killed lately: it leaves the namespaces of its containers behind for a
 * minute, with their addresses on docker_gwbridge, and these refuse what comes for the new ones.
 */
export function killedEngines(faults: readonly FaultSpan[], nowMs: number): string[] {
  return faults.flatMap(({ kind, host, toMs }) =>
    kind === "engine-kill" && host !== null && nowMs - toMs < OLD_SANDBOXES_MS ? [host] : [],
  );
}

/** Hosts that came back after their removal not longer ago than so, as others at their address. */
export function replacedHosts(
  faults: readonly FaultSpan[],
  nowMs: number,
  agoMs: number = FORMER_ENTRIES_MS,
): string[] {
  return faults.flatMap(({ kind, host, toMs }) =>
    kind === "rmpeer" && host !== null && nowMs - toMs < agoMs ? [host] : [],
  );
}

/** Answers with an address that no container had for `boundMs`, with nothing wrong so long. */
export function staleAnswers(
  answers: readonly Answer[],
  sightings: readonly Sighting[],
  faults: readonly FaultSpan[],
  boundMs: number,
): string[] {
  const stale: string[] = [];
  for (const { atMs, host, name, ips } of answers) {
    const from = atMs - boundMs;
    if (faults.some((fault) => fault.fromMs <= atMs && fault.toMs >= from)) continue;
    for (const ip of ips) {
      const isHeld = sightings.some(
        (one) => one.ip === ip && one.atMs >= from && one.atMs <= atMs + START_MS,
      );
      if (!isHeld) stale.push(`${name} answered ${ip} on ${host} at ${seconds(atMs)}, long dead`);
    }
  }
  return stale;
}
