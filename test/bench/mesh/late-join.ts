/**
 * A peer that joins a mesh which holds ten thousand endpoint rows: how long until it holds all,
 * and what that costs, with real processes, sockets and disks.
 */
import { cpuMs, memoryMib } from "../lib/processes.ts";
import { Cluster, sleep } from "./cluster.ts";
import type { PeerEvent } from "./peer.ts";
import { counts } from "./traffic.ts";
import type { TablePeer, TableSystem } from "./worker-system.ts";

const HOLDERS = 10;
export const ROWS = 10_000;
const PATIENCE_MS = 60_000;
/** For the saving to disk and what else is done once. */
const CALM_MS = 3000;

export interface LateJoins {
  readonly engine: string;
  /** From its being told to join until it holds every row. */
  readonly syncMs: number[];
  /** Of all that it and the others sent meanwhile. */
  readonly bytes: number[];
  readonly cpuMs: number[];
  readonly rssMib: number[];
}

export async function measureLateJoins(system: TableSystem, rounds: number): Promise<LateJoins> {
  const found: LateJoins = {
    engine: system.name,
    ...{ syncMs: [], bytes: [], cpuMs: [], rssMib: [] },
  };
  let full = 0;
  const counting: TableSystem = {
    ...system,
    start: async (index, round, receive) => {
      const note = (event: PeerEvent): void => {
        if (event.type === "full") full += 1;
        receive(event);
      };
      return await system.start(index, round, note, ROWS);
    },
  };
  const cluster = new Cluster(counting, HOLDERS, -1);
  try {
    await cluster.start();
    await cluster.joinAll();
    for (let index = 1; index <= HOLDERS; index++) {
      (cluster.peer(index) as TablePeer).rows(ROWS / HOLDERS);
    }
    for (let spentMs = 0; full < HOLDERS; spentMs += 50) {
      if (spentMs > PATIENCE_MS) throw new Error(`${system.name}: ${full} peers hold all rows`);
      await sleep(50);
    }
    for (let round = 0; round < rounds; round++) {
      await sleep(CALM_MS);
      await joinLate(system, HOLDERS + 1 + round, cluster.peer(1).address, found);
    }
  } finally {
    await cluster.stop();
  }
  return found;
}

async function joinLate(
  system: TableSystem,
  index: number,
  target: string,
  found: LateJoins,
): Promise<void> {
  let beganMs = 0;
  let full: (event: PeerEvent) => void = () => undefined;
  const done = new Promise<PeerEvent>((resolve) => {
    full = resolve;
  });
  const peer = await system.start(
    index,
    -1,
    (event) => {
      if (event.type === "began") beganMs = event.atMs;
      if (event.type === "full") full(event);
    },
    ROWS,
  );
  const timer = setTimeout(() => peer.signal("SIGKILL"), PATIENCE_MS);
  const [before, cpuBefore] = [await counts(system.prefix), cpuMs(peer.pid)];
  peer.join(target);
  const ended = peer.gone.then(() => {
    throw new Error(`${system.name}: the late joiner ended`);
  });
  const { atMs } = await Promise.race([done, ended]);
  clearTimeout(timer);
  const after = await counts(system.prefix);
  found.syncMs.push(atMs - beganMs);
  found.bytes.push(after.bytes - before.bytes);
  found.cpuMs.push(cpuMs(peer.pid) - cpuBefore);
  found.rssMib.push(memoryMib(peer.pid).rss);
  ended.catch(() => undefined);
  peer.signal("SIGKILL");
  await peer.gone;
}
