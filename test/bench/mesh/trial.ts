/**
 * All questions put to all systems at one size. Short, busy phases take the systems in turn, so
 * that none has the machine's good minute; long waits for detectors run side by side.
 */
import { Calm } from "../lib/calm.ts";
import { memoryMib } from "../lib/processes.ts";
import { Cluster, type PauseVerdicts, sleep } from "./cluster.ts";
import { isKeyed } from "./engine-name.ts";
import type { PeerSystem } from "./peer.ts";
import { counts, settled, silence } from "./traffic.ts";

/** Samples of one system, in ms, bytes, packets or MiB as named. */
export interface Measured {
  readonly system: string;
  readonly size: number;
  readonly joinMs: number[];
  /** All packets and all processor time of a join, per peer. */
  readonly joinPackets: number[];
  readonly joinCpuMs: number[];
  readonly medianMs: number[];
  readonly lastMs: number[];
  /** Of one event, per node. */
  readonly eventBytes: number[];
  readonly killFirstMs: number[];
  readonly killLastMs: number[];
  readonly restartMs: number[];
  readonly vanishLastMs: number[];
  readonly pauseDeadMs: number[];
  readonly resumeMs: number[];
  readonly idleBytes: number[];
  readonly idlePackets: number[];
  readonly rssMib: number[];
  falseVerdicts: number;
  /** What came of each cell of the grid of pauses. */
  readonly pauses: PauseVerdicts[];
}

/** So many peers stopped at once for so long. */
export interface PauseCell {
  readonly paused: number;
  readonly ms: number;
}

export interface Effort {
  readonly joins: number;
  readonly tells: number;
  readonly kills: number;
  readonly pauseMs: number;
  readonly grid: readonly PauseCell[];
  readonly idleMs: number;
}

interface Entrant {
  readonly measured: Measured;
  readonly system: PeerSystem;
  cluster: Cluster;
}

function emptyMeasured(system: string, size: number): Measured {
  return {
    system,
    size,
    joinMs: [],
    joinPackets: [],
    joinCpuMs: [],
    medianMs: [],
    lastMs: [],
    eventBytes: [],
    killFirstMs: [],
    killLastMs: [],
    restartMs: [],
    vanishLastMs: [],
    pauseDeadMs: [],
    resumeMs: [],
    idleBytes: [],
    idlePackets: [],
    rssMib: [],
    falseVerdicts: 0,
    pauses: [],
  };
}

export async function trial(
  systems: readonly PeerSystem[],
  size: number,
  effort: Effort,
  say: (text: string) => void,
): Promise<Measured[]> {
  const entrants: Entrant[] = systems.map((system) => ({
    measured: emptyMeasured(system.name, size),
    system,
    cluster: new Cluster(system, size, 0),
  }));
  const calm = new Calm(30_000);
  say(`${size} peers: joins`);
  for (let round = 1; round <= effort.joins; round++) await joinRound(entrants, size, round, calm);
  say(`${size} peers: idle`);
  await Promise.all(entrants.map(({ system }) => settled(system.prefix)));
  await Promise.all(entrants.map((entrant) => idle(entrant, effort.idleMs)));
  say(`${size} peers: events`);
  for (let nth = 0; nth < effort.tells; nth++) {
    await calm.wait();
    for (const entrant of entrants) await event(entrant, nth);
  }
  say(`${size} peers: deaths`);
  for (let nth = 0; nth < effort.kills; nth++) {
    await Promise.all(entrants.map((entrant) => deaths(entrant, (nth % (size - 1)) + 2)));
  }
  if (effort.pauseMs > 0) {
    say(`${size} peers: a paused process`);
    await Promise.all(entrants.map((entrant) => pause(entrant, size, effort.pauseMs)));
  }
  for (const [nth, cell] of effort.grid.entries()) {
    say(`${size} peers: ${cell.paused} paused for ${cell.ms / 1000} s`);
    await Promise.all(entrants.map((entrant) => pauses(entrant, cell, nth)));
  }
  for (const { cluster, measured } of entrants) {
    measured.falseVerdicts += cluster.falseVerdicts;
    await cluster.stop();
  }
  return entrants.map(({ measured }) => measured);
}

async function joinRound(
  entrants: readonly Entrant[],
  size: number,
  round: number,
  calm: Calm,
): Promise<void> {
  for (const entrant of entrants) {
    entrant.measured.falseVerdicts += entrant.cluster.falseVerdicts;
    await entrant.cluster.stop();
    entrant.cluster = new Cluster(entrant.system, size, round);
    await entrant.cluster.start();
  }
  await sleep(300);
  await calm.wait();
  const order = round % 2 === 0 ? entrants : entrants.toReversed();
  for (const { cluster, measured, system } of order) {
    const [before, cpuBefore] = [await counts(system.prefix), cluster.cpuMs()];
    measured.joinMs.push(await cluster.joinAll());
    // What a join starts goes on for a moment after the last has seen the last.
    await sleep(500);
    const { packets } = await counts(system.prefix);
    measured.joinPackets.push((packets - before.packets) / size);
    measured.joinCpuMs.push((cluster.cpuMs() - cpuBefore) / size);
  }
}

async function idle({ cluster, measured, system }: Entrant, idleMs: number): Promise<void> {
  const before = await counts(system.prefix);
  const startMs = performance.now();
  await sleep(idleMs);
  const after = await counts(system.prefix);
  const peerSeconds = (cluster.size * (performance.now() - startMs)) / 1000;
  measured.idleBytes.push((after.bytes - before.bytes) / peerSeconds);
  measured.idlePackets.push((after.packets - before.packets) / peerSeconds);
  for (let index = 1; index <= cluster.size; index++) {
    measured.rssMib.push(memoryMib(cluster.peer(index).pid).rss);
  }
}

async function event({ cluster, measured, system }: Entrant, nth: number): Promise<void> {
  // Out of step with the programs' own ticks.
  await sleep(50 + ((nth * 37) % 200));
  const before = await counts(system.prefix);
  const heard = await cluster.tell((nth % cluster.size) + 1, `event-${nth}`);
  const after = await counts(system.prefix);
  measured.medianMs.push(heard[Math.floor(heard.length / 2)] ?? Number.NaN);
  measured.lastMs.push(heard.at(-1) ?? Number.NaN);
  measured.eventBytes.push((after.bytes - before.bytes) / cluster.size);
}

/** A killed process on a host that is up, then a host without power; each comes back. */
async function deaths({ cluster, measured }: Entrant, index: number): Promise<void> {
  const killed = await cluster.kill(index);
  measured.killFirstMs.push(killed.first);
  measured.killLastMs.push(killed.last);
  measured.restartMs.push(await cluster.restart(index));
  await sleep(1500);
  const { address } = cluster.peer(index);
  await silence(address, true);
  measured.vanishLastMs.push((await cluster.kill(index)).last);
  await silence(address, false);
  measured.restartMs.push(await cluster.restart(index));
  await sleep(1500);
}

async function pause({ cluster, measured }: Entrant, size: number, pauseMs: number) {
  const { dead, agree } = await cluster.pause(size, pauseMs);
  measured.pauseDeadMs.push(dead);
  measured.resumeMs.push(agree);
}

/** A key changes nothing in who is called dead, and more processes would only add noise. */
async function pauses({ cluster, measured }: Entrant, { paused, ms }: PauseCell, nth: number) {
  if (isKeyed(measured.system)) return;
  // Others each time, and never the first, whom all joined.
  const others = cluster.size - 1;
  const indexes = Array.from({ length: paused }, (_, at) => 2 + ((nth * 5 + at) % others));
  measured.pauses.push(await cluster.pauseMany(indexes, ms));
}
