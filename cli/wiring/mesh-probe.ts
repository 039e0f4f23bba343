/**
 * `tsweave test` between daemons: each is asked to measure its own ways to others.
 *
 * Law: a peer's question is read strictly and names peers only, by id; at most two are served at a
 * time, each of at most PROBE_TARGETS_MAX targets.
 */
import {
  type Cancel,
  type Rpc,
  readArray,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../../mesh/index.ts";
import {
  PROBE_TARGETS_MAX,
  type ProbedPath,
  type ProbeRow,
  type ProbeWish,
} from "../control/probe-api.ts";
import { type ProbePorts, probePeers } from "../doctor/probe-peers.ts";
import { atMost } from "./at-most.ts";

const SERVICE = "probe";
const DEADLINE_MS = 30_000;
const AT_ONCE_MAX = 2;
const STATES = ["established", "doubtful", "lost", "closed"] as const;
const DIRECT = [null, false, true] as const;
const NUMBER_MAX = 2 ** 40;

/** Answers the questions of others. */
export function serveProbes(rpc: Rpc, ports: ProbePorts): Cancel {
  const bounded = atMost(AT_ONCE_MAX, "probes");
  return rpc.serve(SERVICE, async (_from, body) => {
    const to = readArray(body, "probe", 1, PROBE_TARGETS_MAX).map((one) => readId(one));
    return await bounded(async () => (await probePeers(ports, to)).map(rowToWire));
  });
}

/** A row a target. @throws TsweaveError PEER_UNREACHABLE, TIMED_OUT, BAD_REQUEST, BAD_MESSAGE */
export async function askProbes(
  rpc: Rpc,
  ports: ProbePorts,
  { from, to }: ProbeWish,
): Promise<readonly ProbeRow[]> {
  if (from === ports.facts.status().peer.id) return await probePeers(ports, to);
  const rows = readArray(await rpc.call(from, SERVICE, to, DEADLINE_MS), "probes", 1, to.length);
  return to.map((target, at) => rowFromWire(rows[at] ?? null, from, target));
}

function readId(value: WireValue): string {
  const id = readString(value, "probe.peer", 32);
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  throw new TsweaveError("BAD_REQUEST", "probe.peer is not an id");
}

function rowToWire(row: ProbeRow) {
  const { gossip, direct, rttMs, streamMs, underlay, tunnelBytes, tunnel, error } = row;
  return [
    gossip === null ? 0 : STATES.indexOf(gossip) + 1,
    DIRECT.indexOf(direct),
    ...[micros(rttMs), micros(streamMs), pathToWire(underlay), pathToWire(tunnel)],
    ...[tunnel?.network ?? "", error ?? "", (tunnelBytes ?? -1) + 1],
  ];
}

function rowFromWire(value: WireValue, from: string, to: string): ProbeRow {
  const fields = readArray(value, "row", 9, 32);
  const network = readString(fields[6], "row.network", 255);
  const tunnel = pathFromWire(fields[5] ?? null);
  const bytes = readInteger(fields[8], "row.tunnelBytes", 0, 1_000_000);
  const state = readInteger(fields[0], "row.gossip", 0, STATES.length);
  return {
    ...{ from, to },
    gossip: STATES[state - 1] ?? null,
    direct: DIRECT[readInteger(fields[1], "row.direct", 0, DIRECT.length - 1)] ?? null,
    rttMs: millis(fields[2], "row.rtt"),
    streamMs: millis(fields[3], "row.stream"),
    underlay: pathFromWire(fields[4] ?? null),
    tunnelBytes: bytes === 0 ? null : bytes - 1,
    tunnel: tunnel === null ? null : { ...tunnel, network },
    error: readString(fields[7], "row.error", 300) || null,
  };
}

function pathToWire(path: ProbedPath | null): WireValue {
  if (path === null) return null;
  const { rttMs, largestBytes, neededBytes, error } = path;
  return [micros(rttMs), (largestBytes ?? -1) + 1, neededBytes, (error ?? "").slice(0, 200)];
}

function pathFromWire(value: WireValue): ProbedPath | null {
  if (value === null) return null;
  const fields = readArray(value, "path", 4, 16);
  const largest = readInteger(fields[1], "path.largest", 0, 1_000_000);
  return {
    rttMs: millis(fields[0], "path.rtt"),
    largestBytes: largest === 0 ? null : largest - 1,
    neededBytes: readInteger(fields[2], "path.needed", 0, 1_000_000),
    error: readString(fields[3], "path.error", 300) || null,
  };
}

/** Microseconds and one; 0: not known. */
function micros(valueMs: number | null): number {
  return valueMs === null ? 0 : Math.round(valueMs * 1000) + 1;
}

function millis(value: WireValue | undefined, name: string): number | null {
  const number = readInteger(value, name, 0, NUMBER_MAX);
  return number === 0 ? null : (number - 1) / 1000;
}
