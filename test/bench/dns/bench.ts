/**
 * `bench dns`: names asked at 127.0.0.11 inside a container, on tsweave and on a plain network of
 * Docker's own on the same host in turn.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { scratchDir } from "../lib/bundle.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import { cpuMs } from "../lib/processes.ts";
import type { Figure, Section } from "../lib/report.ts";
import { pairedRatio } from "../lib/stats.ts";
import { needTool } from "../lib/tools.ts";
import { OURS, PLAIN, sleeper, twoHosts } from "../lib/two-hosts.ts";
import { type Asker, latencyUs, queriesPerSecond } from "./dnsperf.ts";

const ROUNDS = 7;
const QUICK_ROUNDS = 1;
const OUTSIDE = "outside.example";

interface Case {
  readonly what: string;
  readonly asker: Asker;
  readonly qps: number[];
  readonly p50: number[];
  readonly p99: number[];
}

export async function benchDns({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  await needTool("dnsperf");
  say("making two hosts");
  const dir = scratchDir(cleanup);
  const { mesh } = await twoHosts("bench-dns", cleanup, { swarm: false });
  const ours = await sleeper(mesh, "h1", "asker", OURS);
  const plain = await sleeper(mesh, "h1", "asker-plain", PLAIN);
  await sleeper(mesh, "h1", "near", OURS);
  await sleeper(mesh, "h2", "far", OURS);
  await sleeper(mesh, "h1", "near-plain", PLAIN);
  const make = (what: string, enter: readonly string[], name: string): Case => {
    return { what, asker: { enter, name, dir }, qps: [], p50: [], p99: [] };
  };
  const local = make("a name of this host", ours.enter, "near");
  const remote = make("a name of another host", ours.enter, "far");
  const relayed = make("an outside name", ours.enter, OUTSIDE);
  const plainLocal = make("", plain.enter, "near-plain");
  const plainRelayed = make("", plain.enter, OUTSIDE);
  const cases = [local, plainLocal, remote, relayed, plainRelayed];
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const calm = new Calm(60_000);
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      await calm.wait();
      await ask(one);
    }
  }
  const daemon = await costOfOne(mesh.lab.host("h1").pid, await mesh.daemonPid("h1"), local);
  return {
    name: "dns",
    title: "dns: names in a container against Docker's own resolver",
    figures: [
      ...compare(local, plainLocal),
      ...compare(remote, plainLocal),
      ...compare(relayed, plainRelayed),
      ...daemon,
    ],
    tables: [],
    notes: NOTES,
  };
}

async function ask({ asker, qps, p50, p99 }: Case): Promise<void> {
  qps.push(await queriesPerSecond(asker, 1.5));
  const latency = await latencyUs(asker, 1.5);
  p50.push(latency.p50);
  p99.push(latency.p99);
}

function compare(ours: Case, docker: Case): Figure[] {
  const figure = (
    what: string,
    unit: string,
    better: Figure["better"],
    key: "qps" | "p50" | "p99",
  ): Figure => ({
    what: `${ours.what}: ${what}`,
    unit,
    better,
    ours: ours[key],
    peer: { name: "Docker", values: docker[key] },
    ratio: pairedRatio(ours[key], docker[key]),
  });
  return [
    figure("answers a second, 20 in flight", "1/s", "higher", "qps"),
    figure("latency p50, 300 a second", "µs", "lower", "p50"),
    figure("latency p99, 300 a second", "µs", "lower", "p99"),
  ];
}

/** Processor time of the daemon for one answer, read through the host's own procfs numbers. */
async function costOfOne(holder: number, daemonPid: number, local: Case): Promise<Figure[]> {
  const pid = outerPid(holder, daemonPid);
  const before = cpuMs(pid);
  const qps = await queriesPerSecond(local.asker, 2);
  const perAnswerUs = ((cpuMs(pid) - before) * 1000) / (qps * 2);
  const what = "processor time of the daemon for one answer";
  return [{ what, unit: "µs", ours: [perAnswerUs], better: "lower" }];
}

/** The machine's number of a process that a host knows by its own (proc(5), NSpid). */
function outerPid(holder: number, inner: number): number {
  const namespace = readlinkSync(`/proc/${holder}/ns/pid_for_children`);
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readlinkSync(`/proc/${entry}/ns/pid`) !== namespace) continue;
      const status = readFileSync(`/proc/${entry}/status`, "utf8");
      const numbers = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      if (numbers.at(-1) === String(inner)) return Number(entry);
    } catch {
      // It ended while we looked.
    }
  }
  throw new Error(`no process ${inner} in the host`);
}

const NOTES = [
  "Docker's resolver knows no names of other hosts; those are compared with its own local names. " +
    "Outside names go on both networks to the lab's DNS server, which bounds them.",
];
