/** Peers of tsweave's mesh: bundled worker processes with one of the membership engines. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startChild } from "./children.ts";
import { monotonicMs, type Peer, type PeerEvent, type PeerSystem, peerName } from "./peer.ts";
import type { WorkerCommand, WorkerOptions } from "./worker.ts";

const PORT = 6783;

/** Delays that are kept: enough for a median and a tail. */
const DELAYS_MAX = 20_000;

/** A peer with tables. */
export interface TablePeer extends Peer {
  /** Lets it write so many endpoint rows. */
  rows(count: number): void;
}

export interface TableSystem extends PeerSystem {
  start(
    index: number,
    round: number,
    receive: (event: PeerEvent) => void,
    fullAt?: number,
  ): Promise<TablePeer>;
}

/** `worker`: the bundled worker.ts; `dir`: where the peers' state goes. */
export function workerSystem(
  engine: string,
  prefix: string,
  files: { readonly worker: string; readonly dir: string },
): TableSystem {
  const onTheWayMs: number[] = [];
  const note = (receive: (event: PeerEvent) => void) => (event: PeerEvent) => {
    if (onTheWayMs.length < DELAYS_MAX) onTheWayMs.push(monotonicMs() - event.atMs);
    receive(event);
  };
  return {
    name: engine,
    prefix,
    onTheWayMs,
    start: async (index, round, receive, fullAt = 0) => {
      const name = peerName(index);
      const host = `${prefix}.${index}`;
      const stateDir = join(files.dir, `${engine}-${round}-${name}`);
      mkdirSync(stateDir, { recursive: true });
      const options: WorkerOptions = { engine, name, host, port: PORT, stateDir, fullAt };
      return await startWorker(files.worker, options, note(receive));
    },
  };
}

interface Said {
  readonly type: PeerEvent["type"] | "ready";
}

async function startWorker(
  worker: string,
  options: WorkerOptions,
  receive: (event: PeerEvent) => void,
): Promise<TablePeer> {
  const argv = [process.execPath, worker, JSON.stringify(options)];
  const { child, gone } = startChild(argv, { ipc: true });
  child.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  const command = (message: WorkerCommand): void => {
    child.send(message);
  };
  await new Promise<void>((resolve, reject) => {
    child.on("message", ({ type, ...rest }: Omit<PeerEvent, "type"> & Said) => {
      if (type === "ready") resolve();
      else receive({ type, ...rest });
    });
    gone.then(() => reject(new Error(`${options.engine} ${options.name} ended`)), reject);
  });
  return {
    name: options.name,
    address: options.host,
    pid: child.pid ?? 0,
    join: (address) => command({ join: address, port: PORT }),
    tell: (text) => command({ tell: text }),
    rows: (count) => command({ rows: count }),
    signal: (signal) => child.kill(signal),
    gone,
  };
}
