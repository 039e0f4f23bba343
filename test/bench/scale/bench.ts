/**
 * `bench scale`: meshes of ten to fifty whole daemons on one machine, each with forty endpoints:
 * how memory, processor time, traffic and convergence follow the size.
 */
import { AttachMesh, type Container } from "../lib/attach-mesh.ts";
import { Cleanup } from "../lib/cleanup.ts";
import type { BenchOptions } from "../lib/options.ts";
import { type Panel, panels } from "../lib/panels.ts";
import type { Figure, Section } from "../lib/report.ts";
import { median, quantile, short } from "../lib/stats.ts";

const SIZES = [10, 25, 50] as const;
const QUICK_SIZES = [3] as const;
const PER_HOST = 40;
/** Attached at once over all hosts. */
const SIDE_BY_SIDE = 8;
const SINGLES = 20;
const IDLE_MS = 20_000;

interface Size {
  readonly hosts: number;
  readonly meetMs: number;
  readonly fillMs: number;
  /** From the last attachment until every daemon knows every endpoint. */
  readonly settleMs: number;
  /** One attachment in a mesh at rest; it waits until every host has programmed it. */
  readonly singleMs: readonly number[];
  readonly rssMib: number;
  readonly cpuMsPerSecond: number;
  readonly idleBytes: number;
  readonly echoesLost: number;
}

const NOTES = [
  "Daemons without engines, each on a host (network namespace) of its own, all on two processors:",
  "times of the larger meshes are bounded by them. Endpoints are namespaces, attached.",
  "Idle figures are of a mesh with all its endpoints, per daemon; processor time includes tools.",
];

export async function benchScale({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  const sizes: Size[] = [];
  for (const hosts of quick ? QUICK_SIZES : SIZES) {
    const own = new Cleanup();
    cleanup.add(`a mesh of ${hosts}`, () => own.run());
    sizes.push(await measure(hosts, own, say));
    await own.run();
  }
  return {
    name: "scale",
    title: "scale: whole daemons on one machine",
    figures: sizes.flatMap(figuresOf),
    tables: [tableOf(sizes)],
    notes: [NOTES.join(" "), "![memory, time, traffic by size](scale.svg)"],
    drawings: [{ file: "scale.svg", svg: panels("hosts", panelsOf(sizes)) }],
  };
}

async function measure(
  count: number,
  cleanup: Cleanup,
  say: (text: string) => void,
): Promise<Size> {
  say(`${count} hosts: launch`);
  const startMs = performance.now();
  const tag = `z${((process.pid + count) % 46_656).toString(36)}`;
  const mesh = await AttachMesh.up(tag, count, cleanup);
  const meetMs = performance.now() - startMs;
  say(`${count} hosts met in ${(meetMs / 1000).toFixed(1)} s; ${count * PER_HOST} endpoints`);
  const fillFromMs = performance.now();
  const containers = await fill(mesh);
  const fillMs = performance.now() - fillFromMs;
  const settleFromMs = performance.now();
  await mesh.until("every endpoint", async ({ daemon }) => {
    const { endpoints } = await daemon.client.read("endpoints");
    return endpoints.length === containers.length;
  });
  await mesh.until("a kernel equal to the tables", async (host) => {
    return (await mesh.metric(host, "tsweave_kernel_in_sync")) === 1;
  });
  const settleMs = performance.now() - settleFromMs;
  say(`${count} hosts: idle`);
  const idle = await idleOf(mesh);
  say(`${count} hosts: single attachments`);
  const singles: Container[] = [];
  for (let nth = 0; nth < SINGLES; nth++) {
    const host = mesh.hosts[nth % count];
    if (host !== undefined) singles.push(await mesh.container(host));
  }
  const [first, last] = [containers[0], singles.at(-1)];
  const answered = first && last ? await mesh.echoes(last, first, 5) : 0;
  return {
    ...{ hosts: count, meetMs, fillMs, settleMs, ...idle },
    singleMs: singles.map(({ attachMs }) => attachMs),
    echoesLost: 5 - answered,
  };
}

/** The endpoints of all hosts, a few at a time, the hosts in turn. */
async function fill(mesh: AttachMesh): Promise<Container[]> {
  const made: Container[] = [];
  const wanted = mesh.hosts.length * PER_HOST;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < wanted) {
      const host = mesh.hosts[next++ % mesh.hosts.length];
      if (host !== undefined) made.push(await mesh.container(host));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
  return made;
}

async function idleOf(mesh: AttachMesh) {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS / 4));
  const read = () =>
    mesh.hosts.map((host) => ({ ...mesh.size(host), bytes: mesh.sentBytes(host) }));
  const [before, fromMs] = [read(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const [after, seconds] = [read(), (performance.now() - fromMs) / 1000];
  const perSecond = (quantity: "cpuMs" | "bytes"): number =>
    median(after.map((one, at) => (one[quantity] - (before[at]?.[quantity] ?? 0)) / seconds));
  return {
    rssMib: median(after.map(({ rssMib }) => rssMib)),
    cpuMsPerSecond: perSecond("cpuMs"),
    idleBytes: perSecond("bytes"),
  };
}

function figuresOf(size: Size): Figure[] {
  const named = (what: string, unit: string, ours: readonly number[], target?: number): Figure => ({
    ...{ what: `${size.hosts} hosts: ${what}`, unit, ours, better: "lower" },
    ...(target === undefined ? {} : { target }),
  });
  return [
    named("one attachment, until all have programmed it", "ms", size.singleMs),
    named("echo requests without an answer", "", [size.echoesLost], 0),
    named("resident memory of a daemon", "MiB", [size.rssMib], 200),
    named("bytes that an idle host sends", "B/s", [size.idleBytes], 200),
  ];
}

const COLUMNS = [
  ...["hosts", "endpoints", "all met (s)", "attached in (s)", "then all know (s)"],
  ...["attach p50 / p95 (ms)", "RSS (MiB)", "idle CPU (ms/s)", "idle B/s"],
];

function tableOf(sizes: readonly Size[]) {
  return {
    title: "By size",
    columns: COLUMNS,
    rows: sizes.map((size) => [
      ...[`${size.hosts}`, `${size.hosts * PER_HOST}`, short(size.meetMs / 1000)],
      ...[short(size.fillMs / 1000), short(size.settleMs / 1000)],
      `${short(median(size.singleMs))} / ${short(quantile(size.singleMs, 0.95))}`,
      ...[short(size.rssMib), short(size.cpuMsPerSecond), short(size.idleBytes)],
    ]),
  };
}

function panelsOf(sizes: readonly Size[]): Panel[] {
  const line = (title: string, unit: string, value: (size: Size) => number): Panel => ({
    ...{ title, unit },
    series: [{ name: "a daemon", points: sizes.map((size) => [size.hosts, value(size)] as const) }],
  });
  return [
    line("resident memory, 40 endpoints a host", "MiB", ({ rssMib }) => rssMib),
    line("one attachment until all have it, median", "ms", ({ singleMs }) => median(singleMs)),
    line("idle processor time", "ms/s", ({ cpuMsPerSecond }) => cpuMsPerSecond),
    line("idle traffic", "B/s", ({ idleBytes }) => idleBytes),
  ];
}
