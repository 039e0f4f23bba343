/**
 * One peer of the product's mesh (sockets, store, membership, tables) without kernel and Docker, as
 * the daemon opens it, driven over the channel to the bench.
 */
import { openMesh } from "../../../cli/wiring/mesh.ts";
import { Stops } from "../../../cli/wiring/stops.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { openLog } from "../../../mesh/io/log.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { engineOf, passwordOf } from "./engine-name.ts";

export interface WorkerOptions {
  readonly engine: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly stateDir: string;
}

export type WorkerCommand =
  | { readonly join: string; readonly port: number }
  | { readonly tell: string };

async function main(options: WorkerOptions): Promise<void> {
  const log = openLog("error", 2);
  const ports = { clock: processClock(), random: cryptoRandom(), log, stops: new Stops(log) };
  const bind = { host: options.host, port: options.port };
  const { node, self, start } = await openMesh(ports, {
    stateDir: options.stateDir,
    password: passwordOf(options.engine),
    name: options.name,
    membership: engineOf(options.engine),
    bind,
    advertise: bind,
    peers: [],
  });
  node.membership.onEvent(({ type, member }) => {
    if (!member.self) process.send?.({ type, about: member.name });
  });
  node.tables.watch("names", (changes) => {
    for (const { origin, key, value } of changes) {
      if (origin !== self && value !== undefined) process.send?.({ type: "row", about: key });
    }
  });
  await start();
  process.on("message", (command: WorkerCommand) => {
    if ("join" in command) node.join([{ host: command.join, port: command.port }]);
    else node.tables.put("names", command.tell, "twenty bytes of text");
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ type: "ready", about: options.name });
}

await main(JSON.parse(process.argv[2] ?? "") as WorkerOptions);
