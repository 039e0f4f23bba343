/** How fast and how dear one endpoint row reaches a mesh, in virtual time. */
import { StillMesh } from "./still-mesh.ts";

export interface SpreadFigures {
  readonly peers: number;
  readonly loss: number;
  readonly events: number;
  /** From the write to the last receiver. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From the write until `announce` resolved. */
  readonly announcedP50Ms: number;
  /** Events of which `announce` still missed somebody after 400 ms. */
  readonly late: number;
  /** Bytes sent a peer and event, with IPv4 and UDP headers; and of the busiest peer. */
  readonly bytesPerPeer: number;
  readonly bytesMax: number;
  /** Bytes a second and peer without any event. */
  readonly idleBytesPerSecond: number;
  readonly wallMs: number;
}

/** A row about as large as overlay's. */
export function endpointValue(index: number): (string | number)[] {
  return [
    "tsweave",
    `10.32.${index >> 8}.${index & 255}`,
    "02:42:0a:20:00:07",
    "10.0.0.7",
    "web",
    1,
  ];
}

export async function measureSpread(
  peers: number,
  loss: number,
  events: number,
  seed = 1,
): Promise<SpreadFigures> {
  const startedMs = performance.now();
  const mesh = new StillMesh(seed, peers);
  await mesh.acquaint();
  await mesh.open();
  await converge(mesh);
  mesh.network.loss = loss;
  const idleFrom = mesh.bytes();
  await mesh.clock.run(2000);
  const idleBytesPerSecond = (mesh.bytes() - idleFrom) / 2 / peers;
  const lastMs: number[] = [];
  const announcedMs: number[] = [];
  let late = 0;
  let bytes = 0;
  let bytesMax = 0;
  for (let event = 0; event < events; event += 1) {
    const before = mesh.members.map(({ advertise }) => mesh.network.bytesOf(advertise.host));
    const result = await oneEvent(mesh, event);
    lastMs.push(result.lastMs);
    announcedMs.push(result.announcedMs);
    if (result.late > 0) late += 1;
    const spent = mesh.members.map(
      ({ advertise }, index) => mesh.network.bytesOf(advertise.host) - (before[index] ?? 0),
    );
    bytes +=
      spent.reduce((sum, one) => sum + one, 0) -
      (idleBytesPerSecond * peers * result.tookMs) / 1000;
    bytesMax = Math.max(bytesMax, ...spent);
  }
  for (const node of mesh.nodes) node.tables.stop();
  return {
    peers,
    loss,
    events,
    p50Ms: percentile(lastMs, 0.5),
    p99Ms: percentile(lastMs, 0.99),
    announcedP50Ms: percentile(announcedMs, 0.5),
    late,
    bytesPerPeer: Math.round(bytes / events / peers),
    bytesMax,
    idleBytesPerSecond: Math.round(idleBytesPerSecond),
    wallMs: Math.round(performance.now() - startedMs),
  };
}

/** Until everyone knows of everyone's log; there is nothing in them yet. */
async function converge(mesh: StillMesh): Promise<void> {
  const states = () => new Set(mesh.nodes.map(({ tables }) => tables.digest()));
  while (states().size > 1) await mesh.clock.run(1000);
}

async function oneEvent(mesh: StillMesh, event: number) {
  const origin = mesh.random.below(mesh.nodes.length);
  const startMs = mesh.clock.nowMs();
  let lastMs = startMs;
  let missing = mesh.nodes.length - 1;
  const cancels = mesh.nodes.map((node, index) =>
    node.tables.watch("endpoints", () => {
      if (index === origin) return;
      missing -= 1;
      lastMs = mesh.clock.nowMs();
    }),
  );
  const tables = mesh.nodes[origin]?.tables;
  tables?.put("endpoints", `e${event}`, endpointValue(event));
  let late: number | undefined;
  let announcedAtMs = startMs;
  const announced = tables?.announce(400).then((answer) => {
    late = answer.late.length;
    announcedAtMs = mesh.clock.nowMs();
  });
  while ((missing > 0 || late === undefined) && mesh.clock.nowMs() < startMs + 20_000) {
    await mesh.clock.run(10);
  }
  await announced;
  await mesh.clock.run(100);
  for (const cancel of cancels) cancel();
  if (missing > 0) throw new Error(`${missing} peers did not get event ${event}`);
  const tookMs = mesh.clock.nowMs() - startMs;
  return {
    lastMs: lastMs - startMs,
    announcedMs: announcedAtMs - startMs,
    late: late ?? 0,
    tookMs,
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
  return Math.round((sorted[at] ?? 0) * 10) / 10;
}
