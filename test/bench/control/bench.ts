/**
 * `bench control`: docker run and docker rm on no network, a bridge, tsweave and Swarm's overlay in
 * turn, and how soon the other host knows, on one pair of lab hosts.
 */
import { ControlClient } from "../../../cli/control/client.ts";
import type { MeshHosts } from "../../lib/mesh-hosts.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section } from "../lib/report.ts";
import { pairedRatio } from "../lib/stats.ts";
import { OURS, type Sleeper, SWARM, sleeper, twoHosts, wallMs } from "../lib/two-hosts.ts";
import { Watch } from "./watch.ts";

const ROUNDS = 12;
const QUICK_ROUNDS = 2;
/** For quiet moments, all together. */
const PATIENCE_LOUD_MS = 90_000;
/** Longer than any of it takes; what is not seen by then is not counted. */
const PATIENCE_MS = 4000;

const MEASURES = [
  ["run", "docker run"],
  ["rm", "docker rm -f"],
  ["neighbour", "run → neighbour entry on the other host"],
  ["name", "run → name answers on the other host"],
  ["ping", "run → ping answered from the other host"],
  ["nameBeforeStart", "name answers, relative to StartedAt"],
  ["pingBeforeStart", "ping answered, relative to StartedAt"],
  ["neighbourGone", "kill → neighbour entry gone on the other host"],
  ["nameGone", "kill → name gone on the other host"],
] as const;
type Measure = (typeof MEASURES)[number][0];
type Samples = Record<Measure, number[]>;

interface Kind {
  readonly network: string;
  readonly samples: Samples;
  /** A container of the network on the other host; without one nobody watches. */
  readonly prober?: Sleeper;
}

export async function benchControl({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  say("making two hosts");
  const { mesh, noSwarm } = await twoHosts("bench-control", cleanup, { swarm: true });
  const networks = ["none", "bridge", OURS, ...(noSwarm === undefined ? [SWARM] : [])];
  const kinds: Kind[] = [];
  for (const network of networks) kinds.push(await makeKind(mesh, network));
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const calm = new Calm(PATIENCE_LOUD_MS);
  const added: number[] = [];
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const order = round % 2 === 0 ? kinds : kinds.toReversed();
    for (const kind of order) {
      await calm.wait();
      await timedLife(mesh, kind, `t${round}`);
    }
    for (const kind of order) {
      await calm.wait();
      await watchedLife(mesh, kind, `w${round}`);
    }
    await calm.wait();
    await addedName(mesh, kinds, added, `a${round}`);
  }
  return section(kinds, noSwarm, added);
}

async function makeKind(mesh: MeshHosts, network: string): Promise<Kind> {
  const samples = Object.fromEntries(MEASURES.map(([key]) => [key, []])) as unknown as Samples;
  if (network === "none" || network === "bridge") return { network, samples };
  // One on each host: the first container of a network on a host pays for the namespace.
  await sleeper(mesh, "h1", `anchor-${network}`, network);
  const prober = await sleeper(mesh, "h2", `prober-${network}`, network);
  return { network, samples, prober };
}

/** docker run and docker rm -f with nobody watching. */
async function timedLife(mesh: MeshHosts, { network, samples }: Kind, id: string): Promise<void> {
  const name = `${id}-${network}`;
  const runMs = wallMs();
  await mesh.docker("h1", ...runArgs(network, name));
  samples.run.push(wallMs() - runMs);
  const rmMs = wallMs();
  await mesh.docker("h1", "rm", "-f", name);
  samples.rm.push(wallMs() - rmMs);
}

/** Starts a container, sees it everywhere, kills it, sees it gone. */
async function watchedLife(mesh: MeshHosts, kind: Kind, id: string): Promise<void> {
  const { network, samples, prober } = kind;
  if (prober === undefined) return;
  const name = `${id}-${network}`;
  const watch = await Watch.start(mesh, prober, network, name);
  const { seen } = watch;
  try {
    const runMs = wallMs();
    await mesh.docker("h1", ...runArgs(network, name));
    await patiently(() => seen.ping !== undefined && seen.name !== undefined);
    const startedMs = await startedAt(mesh, name);
    note(samples.neighbour, seen.neighbour, runMs);
    note(samples.name, seen.name, runMs);
    note(samples.ping, seen.ping, runMs);
    note(samples.nameBeforeStart, seen.name, startedMs);
    note(samples.pingBeforeStart, seen.ping, startedMs);
    // Swarm's names come and go once or twice while a container starts.
    delete seen.nameGone;
    const killMs = wallMs();
    await mesh.docker("h1", "kill", name);
    await patiently(() => seen.neighbourGone !== undefined && seen.nameGone !== undefined);
    note(samples.neighbourGone, seen.neighbourGone, killMs);
    note(samples.nameGone, seen.nameGone, killMs);
    await mesh.docker("h1", "rm", "-f", name);
  } finally {
    watch.stop();
  }
}

/** A name without a container, asked of the daemon, until the other host answers it. */
async function addedName(
  mesh: MeshHosts,
  kinds: readonly Kind[],
  samples: number[],
  name: string,
): Promise<void> {
  const prober = kinds.find(({ network }) => network === OURS)?.prober;
  if (prober === undefined) return;
  const client = new ControlClient(mesh.lab.host("h1").path("/run/tsweave"));
  const change = { name, ips: ["192.0.2.1"], network: undefined };
  const watch = await Watch.start(mesh, prober, OURS, name);
  try {
    const askedMs = wallMs();
    await client.dnsAdd(change);
    await patiently(() => watch.seen.name !== undefined);
    note(samples, watch.seen.name, askedMs);
    await client.dnsRemove(change);
  } finally {
    watch.stop();
  }
}

function runArgs(network: string, name: string): string[] {
  return ["run", "-d", "--network", network, "--name", name, "busybox", "sleep", "1000"];
}

function note(samples: number[], seenMs: number | undefined, fromMs: number): void {
  if (seenMs !== undefined) samples.push(seenMs - fromMs);
}

async function startedAt(mesh: MeshHosts, name: string): Promise<number> {
  const text = await mesh.docker("h1", "inspect", "-f", "{{.State.StartedAt}}", name);
  return Date.parse(text);
}

async function patiently(holds: () => boolean): Promise<void> {
  const endMs = wallMs() + PATIENCE_MS;
  while (!holds() && wallMs() < endMs) await new Promise((resolve) => setTimeout(resolve, 5));
}

const RATIO_TARGETS: Partial<Record<Measure, number>> = { run: 0.75 };
const TARGETS: Partial<Record<Measure, number>> = {
  nameBeforeStart: 0,
  pingBeforeStart: 0,
  neighbourGone: 100,
  nameGone: 100,
};

/** Weave's own figure is 50 to 80 ms, from the request to the answer. */
const WEAVE_ADDED_MS = 50;

function section(
  kinds: readonly Kind[],
  noSwarm: string | undefined,
  added: readonly number[],
): Section {
  const find = (network: string) => kinds.find((kind) => kind.network === network)?.samples;
  const [ours, swarm, bridge] = [find(OURS), find(SWARM), find("bridge")];
  const figures: Figure[] = [];
  for (const [key, what] of MEASURES) {
    const target = TARGETS[key];
    const signed = key === "nameBeforeStart" || key === "pingBeforeStart";
    figures.push({
      what,
      unit: "ms",
      ours: ours?.[key] ?? [],
      better: "lower",
      ...(swarm === undefined ? {} : against("Swarm", ours?.[key] ?? [], swarm[key])),
      ...(target === undefined ? {} : { target }),
      // A ratio of two times before an event says nothing.
      ratioTarget: signed ? null : (RATIO_TARGETS[key] ?? 1),
    });
  }
  const what = "dns-add asked of the daemon → name answers on the other host";
  figures.push({ what, unit: "ms", ours: added, better: "lower", target: WEAVE_ADDED_MS });
  for (const key of ["run", "rm"] as const) {
    const what = key === "run" ? "docker run, cost over a bridge" : "docker rm -f, over a bridge";
    const own = ours?.[key] ?? [];
    const free = { unit: "ms", ours: own, better: "lower", ratioTarget: null } as const;
    figures.push({ what, ...free, ...against("bridge", own, bridge?.[key] ?? []) });
    const floor = `${key === "run" ? "docker run" : "docker rm -f"}, over no network`;
    figures.push({ what: floor, ...free, ...against("none", own, find("none")?.[key] ?? []) });
  }
  return {
    name: "control",
    title: "control: container start and end against Swarm's overlay",
    figures,
    tables: [],
    notes: [...NOTES, ...(noSwarm === undefined ? [] : [`No Swarm: ${noSwarm}`])],
  };
}

/** The ratio is the median of the rounds' own ratios: the machine's speed drifts. */
function against(name: string, own: readonly number[], values: readonly number[]) {
  return { peer: { name, values }, ratio: pairedRatio(own, values) };
}

const NOTES = [
  "Engine 20.10 on both hosts, the docker command line included in every time; the networks take " +
    "turns within a round. Both hosts have another container on each network, so no time holds " +
    "the building of a network namespace.",
  "The other host asks for the name every 2 ms, and pings every 5 ms from the moment it has the " +
    "neighbour entry. Negative times relative to StartedAt are before the container's start.",
];
