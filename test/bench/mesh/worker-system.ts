/** Peers of tsweave's mesh: bundled worker processes with one of the membership engines. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startChild } from "./children.ts";
import { type Peer, type PeerEvent, type PeerSystem, peerName } from "./peer.ts";
import type { WorkerCommand, WorkerOptions } from "./worker.ts";

const PORT = 6783;

/** `worker`: the bundled worker.ts; `dir`: where the peers' state goes. */
export function workerSystem(
  engine: string,
  prefix: string,
  files: { readonly worker: string; readonly dir: string },
): PeerSystem {
  return {
    name: engine,
    prefix,
    start: async (index, round, receive) => {
      const name = peerName(index);
      const host = `${prefix}.${index}`;
      const stateDir = join(files.dir, `${engine}-${round}-${name}`);
      mkdirSync(stateDir, { recursive: true });
      const options: WorkerOptions = { engine, name, host, port: PORT, stateDir };
      return await startWorker(files.worker, options, receive);
    },
  };
}

async function startWorker(
  worker: string,
  options: WorkerOptions,
  receive: (event: PeerEvent) => void,
): Promise<Peer> {
  const argv = [process.execPath, worker, JSON.stringify(options)];
  const { child, gone } = startChild(argv, { ipc: true });
  child.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  const command = (message: WorkerCommand): void => {
    child.send(message);
  };
  await new Promise<void>((resolve, reject) => {
    child.on("message", (message: { type: PeerEvent["type"] | "ready"; about: string }) => {
      const { type, about } = message;
      if (type === "ready") resolve();
      else receive({ type, about });
    });
    gone.then(() => reject(new Error(`${options.engine} ${options.name} ended`)), reject);
  });
  return {
    name: options.name,
    address: options.host,
    pid: child.pid ?? 0,
    join: (address) => command({ join: address, port: PORT }),
    tell: (text) => command({ tell: text }),
    signal: (signal) => child.kill(signal),
    gone,
  };
}
