/**
 * What another host sees of a container as it comes and goes: the neighbour entry in its overlay
 * namespace, the answer to its name, the first ping. Stamps are wall-clock ms.
 */
import type { MeshHosts } from "../../lib/mesh-hosts.ts";
import { follow, overlayNamespace, type Sleeper, wallMs } from "../lib/two-hosts.ts";

export interface Sightings {
  neighbour?: number;
  name?: number;
  ping?: number;
  neighbourGone?: number;
  nameGone?: number;
}

/**
 * Asks for a name every 2 ms and says when the answer changes; the name comes as argument. A
 * question that is relayed upstream is answered late, so only answers to later questions count.
 */
const NAME_PROBE = `
const { createSocket } = require("node:dgram");
const name = process.argv[1];
const labels = name.split(".").map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l)]));
const head = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
const query = Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
const socket = createSocket("udp4");
let [last, since, id] = ["", 0, 0];
socket.on("message", (reply) => {
  const now = reply.readUInt16BE(6) > 0 ? "there" : "gone";
  if (now === last || reply.readUInt16BE(0) < since) return;
  last = now;
  since = reply.readUInt16BE(0);
  process.stdout.write(now + " " + (performance.timeOrigin + performance.now()) + "\\n");
});
socket.bind(() => setInterval(() => {
  const next = Buffer.from(query);
  id = Math.min(id + 1, 65535);
  next.writeUInt16BE(id, 0);
  socket.send(next, 53, "127.0.0.11");
}, 2));
`;

/**
 * Watches one network from the point of view of a container on another host. The container watched
 * for is the next one of name \`name\`.
 */
export class Watch {
  readonly seen: Sightings = {};
  readonly #stops: (() => void)[] = [];
  readonly #prober: Sleeper;
  readonly #known: ReadonlySet<string>;
  #ip: string | undefined;

  static async start(
    mesh: MeshHosts,
    prober: Sleeper,
    network: string,
    name: string,
  ): Promise<Watch> {
    const host = mesh.lab.host(prober.host);
    const netns = await overlayNamespace(mesh, prober.host, network);
    const inside = [...host.enter, "nsenter", `--net=${netns}`];
    const list = await mesh.exec(prober.host, ["nsenter", `--net=${netns}`, "ip", "neigh"]);
    const known = new Set(list.stdout.split("\n").map((line) => line.split(" ")[0] ?? ""));
    const watch = new Watch(prober, known);
    watch.#follow(inside, ["ip", "-ts", "monitor", "neigh"], (line) => watch.#neigh(line));
    const probe = [process.execPath, "-e", NAME_PROBE, name];
    watch.#follow(prober.enter, probe, (line) => watch.#name(line));
    // Both must be watching; the name's absence is the first thing that the probe says.
    await new Promise((resolve) => setTimeout(resolve, 250));
    return watch;
  }

  private constructor(prober: Sleeper, known: ReadonlySet<string>) {
    this.#prober = prober;
    this.#known = known;
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #follow(
    enter: readonly string[],
    argv: readonly string[],
    receive: (line: string) => void,
  ): void {
    this.#stops.push(follow(enter, argv, receive));
  }

  /** `[2026-11-21T10:00:00.123456] [Deleted ]10.0.0.5 dev vxlan0 lladdr … PERMANENT` */
  #neigh(line: string): void {
    const found = /^\[\S+\] (Deleted )?(\d+\.\d+\.\d+\.\d+) dev vxlan\S+ .*/.exec(line);
    const [, deleted, ip] = found ?? [];
    if (ip === undefined || this.#known.has(ip)) return;
    if (deleted !== undefined) {
      if (ip === this.#ip) this.seen.neighbourGone ??= wallMs();
      return;
    }
    if (!line.includes("PERMANENT") || this.#ip !== undefined) return;
    this.#ip = ip;
    this.seen.neighbour = wallMs();
    const ping = ["busybox", "ping", "-i", "0.005", "-c", "1000", ip];
    this.#follow(this.#prober.enter, ping, (reply) => {
      if (reply.includes("bytes from")) this.seen.ping ??= wallMs();
    });
  }

  #name(line: string): void {
    const [state, ms] = line.split(" ");
    if (state === "there") this.seen.name ??= Number(ms);
    if (state === "gone" && this.seen.name !== undefined) this.seen.nameGone ??= Number(ms);
  }
}
