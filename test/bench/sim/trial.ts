/** One simulated mesh measured: events and quiet under loss, deaths, memory, real time. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Crowd } from "../../sim/crowd.ts";
import { endpointValue } from "../../sim/spread-measure.ts";

export interface LossFigures {
  readonly loss: number;
  /** From each write to its last receiver, in virtual ms. */
  readonly lastMs: readonly number[];
  /** Bytes sent a peer and event, idle traffic taken off. */
  readonly bytesPerEvent: number;
  readonly idleBytesPerSecond: number;
  readonly idlePacketsPerSecond: number;
  readonly virtualSeconds: number;
  /** Verdicts of death, and suspicions, about peers that live. */
  readonly wrongDeaths: number;
  readonly suspicions: number;
}

export interface SimFigures {
  readonly peers: number;
  readonly losses: readonly LossFigures[];
  /** By victim: from its silence until the middle one and the last one of the others knew. */
  readonly medianKnewMs: readonly number[];
  readonly allKnewMs: readonly number[];
  /** Bytes of heap a whole peer takes. */
  readonly heapBytes: number;
  /** Real seconds of one idle virtual minute. */
  readonly minuteSeconds: number;
}

export interface Effort {
  readonly events: number;
  readonly quietSeconds: number;
  readonly victims: number;
}

const LOSSES = [0, 0.05, 0.25] as const;
const DETECT_MS = 6000;
const SETTLE_MS = 5000;
const GIVE_UP_MS = 20_000;

export async function measureCrowd(
  peers: number,
  effort: Effort,
  say: (text: string) => void,
): Promise<SimFigures> {
  const before = heapBytes();
  const mesh = new Crowd(peers);
  await mesh.open(peers);
  say(`${peers} peers know each other`);
  await mesh.clock.run(SETTLE_MS);
  const heap = (heapBytes() - before) / peers;
  const losses: LossFigures[] = [];
  let minuteSeconds = 0;
  for (const loss of LOSSES) {
    const startedMs = performance.now();
    mesh.network.loss = loss;
    const quiet = await measureQuiet(mesh, effort.quietSeconds);
    if (loss === 0) minuteSeconds = (performance.now() - startedMs) * (0.06 / effort.quietSeconds);
    const events = await measureEvents(mesh, effort.events, quiet.idleBytesPerSecond);
    losses.push({ loss, ...quiet, ...events });
    say(`${peers} peers at ${loss * 100} % loss, ${minuteSeconds.toFixed(0)} s a quiet minute`);
  }
  mesh.network.loss = 0;
  const [medianKnewMs, allKnewMs]: number[][] = [[], []];
  for (let victim = 0; victim < effort.victims; victim += 1) {
    await mesh.clock.run(SETTLE_MS);
    const times = await mesh.silence(DETECT_MS);
    medianKnewMs?.push(times[Math.floor(mesh.peers.length / 2)] ?? Number.NaN);
    allKnewMs?.push(times.length < mesh.peers.length ? Number.NaN : (times.at(-1) ?? Number.NaN));
  }
  const knew = { medianKnewMs: medianKnewMs ?? [], allKnewMs: allKnewMs ?? [] };
  return { peers, losses, ...knew, heapBytes: heap, minuteSeconds };
}

async function measureQuiet(mesh: Crowd, seconds: number) {
  const [bytes, packets] = [mesh.bytes(), mesh.network.sentPackets];
  const [deaths, suspicions] = [mesh.deaths.length, mesh.suspicions];
  await mesh.clock.run(seconds * 1000);
  const share = seconds * mesh.peers.length;
  return {
    idleBytesPerSecond: (mesh.bytes() - bytes) / share,
    idlePacketsPerSecond: (mesh.network.sentPackets - packets) / share,
    virtualSeconds: seconds,
    wrongDeaths: mesh.deaths.length - deaths,
    suspicions: mesh.suspicions - suspicions,
  };
}

async function measureEvents(mesh: Crowd, events: number, idleBytesPerSecond: number) {
  const lastMs: number[] = [];
  const [startMs, bytes] = [mesh.clock.nowMs(), mesh.bytes()];
  for (let event = 0; event < events; event += 1) lastMs.push(await oneEvent(mesh, event));
  const idle = (idleBytesPerSecond * mesh.peers.length * (mesh.clock.nowMs() - startMs)) / 1000;
  return { lastMs, bytesPerEvent: (mesh.bytes() - bytes - idle) / events / mesh.peers.length };
}

/** Writes one row somewhere; when the last of the others was told of it. */
async function oneEvent(mesh: Crowd, event: number): Promise<number> {
  const origin = mesh.random.below(mesh.peers.length);
  const key = `e${event}`;
  const startMs = mesh.clock.nowMs();
  let [lastMs, missing] = [startMs, mesh.peers.length - 1];
  const cancels = mesh.peers.map(({ node }, index) =>
    node.tables.watch("endpoints", (changes) => {
      if (index === origin || !changes.some((change) => change.key === key)) return;
      missing -= 1;
      lastMs = mesh.clock.nowMs();
    }),
  );
  mesh.peers[origin]?.node.tables.put("endpoints", key, endpointValue(mesh.random.below(60_000)));
  while (missing > 0 && mesh.clock.nowMs() < startMs + GIVE_UP_MS) await mesh.clock.run(10);
  // What is still on its way belongs to this event.
  await mesh.clock.run(200);
  for (const cancel of cancels) cancel();
  return missing > 0 ? Number.NaN : lastMs - startMs;
}

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}
