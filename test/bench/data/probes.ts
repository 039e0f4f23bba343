/** One measurement on one road: iperf3 for streams and small datagrams, ping for the round trip. */
import { run } from "../../lab/exec.ts";
import { follow } from "../lib/two-hosts.ts";
import type { Path } from "./paths.ts";

const SMALL_BYTES = 64;
const PINGS = 3000;

/** Client and server on a core each, so that the scheduler's choice is not measured. */
const CLIENT = ["taskset", "-c", "1"];
const SERVER = ["taskset", "-c", "0"];

interface IperfReport {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: {
      readonly packets: number;
      readonly lost_packets: number;
      readonly seconds: number;
    };
  };
}

/** Starts the road's server; the result stops it. */
export function startServer(path: Path): () => void {
  return follow(path.server, [...SERVER, "iperf3", "-s", "-i", "0"], () => undefined);
}

/** Gbit/s received over `streams` TCP connections. */
export async function tcpGbit(path: Path, streams: number): Promise<number> {
  const { end } = await iperf(path, ["-P", String(streams), "-t", "1"]);
  return (end?.sum_received?.bits_per_second ?? Number.NaN) / 1e9;
}

/** Thousand datagrams of 64 bytes received a second, sent as fast as possible. */
export async function smallKpps(path: Path): Promise<number> {
  const { end } = await iperf(path, ["-u", "-b", "0", "-l", String(SMALL_BYTES), "-t", "1"]);
  const { packets, lost_packets: lost, seconds } = end?.sum ?? {};
  if (packets === undefined || lost === undefined || seconds === undefined) return Number.NaN;
  return (packets - lost) / seconds / 1000;
}

/** Mean round trip of pings, each sent when the last was answered, in microseconds. */
export async function pingUs(path: Path): Promise<number> {
  const ping = ["busybox", "ping", "-A", "-q", "-c", String(PINGS), "-w", "4", path.address];
  const { stdout } = await run([...path.client, ...CLIENT, ...ping], { allowFailure: true });
  const mean = /= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1];
  return mean === undefined ? Number.NaN : Number(mean) * 1000;
}

async function iperf(path: Path, args: readonly string[]): Promise<IperfReport> {
  const argv = [...path.client, ...CLIENT, "iperf3", "-J", "-i", "0", "-c", path.address, ...args];
  const { stdout } = await run(argv, { allowFailure: true, timeoutMs: 20_000 });
  const report = JSON.parse(stdout) as IperfReport;
  if (report.error !== undefined) throw new Error(`iperf3 on ${path.name}: ${report.error}`);
  return report;
}
