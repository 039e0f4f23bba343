/** Which pairs of hosts `tsweave test` tries, and what it says of each. Pure. */
import type { MeshTest, PairFault, ProbedPath, ProbeRow } from "../control/probe-api.ts";

/** Up to here every pair is tried without asking for it. */
const EVERYBODY_MAX = 16;

/** For each id the ids that it is to probe. */
export function planPairs(ids: readonly string[], all: boolean): Map<string, string[]> {
  const sorted = ids.toSorted();
  const steps = distances(sorted.length, all);
  return new Map(
    sorted.map((from, at) => [
      from,
      steps.map((step) => sorted[(at + step) % sorted.length] ?? from),
    ]),
  );
}

/**
 * How far along a ring of `count` each looks: at everybody, or at 1, 2, 4, … further, so that every
 * host probes and is probed log2(count) times, and no two halves of the mesh are left untried.
 */
function distances(count: number, all: boolean): number[] {
  if (all || count <= EVERYBODY_MAX) return Array.from({ length: count - 1 }, (_, at) => at + 1);
  return Array.from({ length: Math.ceil(Math.log2(count)) }, (_, at) => 2 ** at);
}

export type Pair = MeshTest["pairs"][number];

/** A row with what is wrong; `name` tells a peer's. */
export function judgePair(row: ProbeRow, name: (id: string) => string): Pair {
  const faults = faultsOf(row);
  const [worst] = faults;
  if (worst === undefined) return { ...row, faults, text: null, next: null };
  const [from, to] = [name(row.from), name(row.to)];
  return { ...row, faults, text: textOf(worst, row, from, to), next: nextOf(worst, from, to) };
}

function faultsOf(row: ProbeRow): PairFault[] {
  if (row.error !== null) return ["unasked"];
  const { gossip, direct, streamMs, underlay } = row;
  return [
    ...(gossip === "established" ? [] : (["gossip"] as const)),
    ...(direct === false ? (["direct"] as const) : []),
    ...(streamMs === null ? (["stream"] as const) : []),
    // A host that answers no echo may still carry everything: the tunnel then decides.
    ...(isCut(underlay) ? (["underlay"] as const) : []),
    ...(isShut(row) ? (["tunnel"] as const) : []),
  ];
}

function passes({ largestBytes, neededBytes }: ProbedPath): boolean {
  return largestBytes !== null && largestBytes >= neededBytes;
}

/** Between containers where there are some, else as the first host's daemon found its tunnel. */
function isShut({ gossip, direct, tunnel, tunnelBytes }: ProbeRow): boolean {
  if (tunnel !== null) return !passes(tunnel);
  return tunnelBytes === null && gossip === "established" && direct !== false;
}

function isCut(path: ProbedPath | null): boolean {
  return path !== null && path.error === null && !passes(path);
}

function textOf(fault: PairFault, row: ProbeRow, from: string, to: string): string {
  const way = `${from} to ${to}`;
  if (fault === "unasked") return `${way}: not measured: ${row.error}`;
  if (fault === "gossip") return `${way}: gossip ${row.gossip ?? "unknown"}`;
  if (fault === "direct") return `${way}: only other peers reach it`;
  if (fault === "stream") return `${way}: no answer over the stream port`;
  const path = fault === "underlay" ? row.underlay : row.tunnel;
  if (path === null) return `${way}: the tunnel carries nothing`;
  const where = fault === "underlay" ? "underlay" : `tunnel of ${row.tunnel?.network}`;
  const largest = path?.largestBytes ?? null;
  if (largest === null) return `${way}: ${where}: ${path?.error ?? "only small packets pass"}`;
  return `${way}: ${where}: packets up to ${largest} bytes pass, ${path?.neededBytes} are needed`;
}

function nextOf(fault: PairFault, from: string, to: string): string {
  return fault === "unasked" ? `tsweave ping ${from}` : `on ${from}: tsweave ping ${to}`;
}
