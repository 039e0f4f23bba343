/**
 * One peer of the product's mesh (sockets, store, membership, tables) without kernel and Docker, as
 * the daemon opens it, driven over the channel to the bench.
 */
import { createHash } from "node:crypto";
import { openMesh } from "../../../cli/wiring/mesh.ts";
import { Stops } from "../../../cli/wiring/stops.ts";
import type { MeshNode } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { openLog } from "../../../mesh/io/log.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { endpointToWire } from "../../../overlay/rows.ts";
import { engineOf, passwordOf } from "./engine-name.ts";
import { monotonicMs, type PeerEvent } from "./peer.ts";

export interface WorkerOptions {
  readonly engine: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly stateDir: string;
  /** It says so when it holds this many endpoint rows; 0: never. */
  readonly fullAt: number;
}

export type WorkerCommand =
  | { readonly join: string; readonly port: number }
  | { readonly tell: string }
  | { readonly rows: number };

function say(type: PeerEvent["type"] | "ready", about: string): void {
  process.send?.({ type, about, atMs: monotonicMs() });
}

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
    hosts: [bind.host],
    latency: "lan",
    peers: [],
  });
  node.membership.onEvent(({ type, member }) => {
    if (!member.self && type !== "updated") say(type, member.name);
  });
  node.tables.watch("names", (changes) => {
    for (const { origin, key, value } of changes) {
      if (origin !== self && value !== undefined) say("row", key);
    }
  });
  let held = 0;
  node.tables.watch("endpoints", (changes) => {
    // Rows are only ever added here.
    held += changes.length;
    if (held === options.fullAt) say("full", options.name);
  });
  await start();
  process.on("message", (command: WorkerCommand) => {
    if ("join" in command) {
      say("began", "join");
      node.join([{ host: command.join, port: command.port }]);
    } else if ("tell" in command) {
      say("began", command.tell);
      node.tables.put("names", command.tell, "twenty bytes of text");
    } else putRows(node, options.host, command.rows);
  });
  process.on("disconnect", () => process.exit());
  say("ready", options.name);
}

/** As many endpoints as a busy host has, like those of containers. */
function putRows(node: MeshNode, vtep: string, count: number): void {
  for (let nth = 0; nth < count; nth += 1) {
    const octets = [nth >> 8, nth & 255];
    const mac = ["02", "42", "0a", "20", ...octets.map((octet) => octet.toString(16))];
    const row = {
      network: "tsweave",
      ip: `10.32.${octets.join(".")}`,
      mac: mac.map((byte) => byte.padStart(2, "0")).join(":"),
      vtep,
    };
    const key = createHash("sha256").update(`${vtep} ${nth}`).digest("hex");
    node.tables.put("endpoints", key, endpointToWire(row));
  }
}

await main(JSON.parse(process.argv[2] ?? "") as WorkerOptions);
