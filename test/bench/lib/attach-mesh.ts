/**
 * A mesh of whole daemons without engines, each on a host of its own, and namespaces that play
 * containers: the ground of the benches of endurance and size.
 *
 * Law: the daemons run the product's build; what is made here goes with the cleanup.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../lab/exec.ts";
import { BUNDLE } from "../../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../../lib/netns-daemons.ts";
import { NetnsLab } from "../../lib/netns-hosts.ts";
import type { Cleanup } from "./cleanup.ts";
import { cpuMs, memoryMib } from "./processes.ts";

const PATIENCE_MS = 240_000;
const POLL_MS = 100;

export interface AttachHost {
  readonly name: string;
  readonly netns: string;
  readonly daemon: NetnsDaemon;
}

export interface Container {
  readonly netns: string;
  readonly host: AttachHost;
  readonly ip: string;
  /** How long the daemon took to attach it. */
  readonly attachMs: number;
}

/** What one daemon is at one moment. */
export interface DaemonSize {
  readonly rssMib: number;
  readonly fds: number;
  readonly cpuMs: number;
  readonly stateKib: number;
}

export class AttachMesh {
  readonly hosts: readonly AttachHost[];
  readonly #tag: string;
  #born = 0;

  private constructor(tag: string, hosts: readonly AttachHost[]) {
    this.#tag = tag;
    this.hosts = hosts;
  }

  /** Daemons on `count` hosts, the first named to all, each with addresses to give. */
  static async up(tag: string, count: number, cleanup: Cleanup): Promise<AttachMesh> {
    const lab = new NetnsLab(tag);
    cleanup.add("the hosts' namespaces", () => lab.close());
    const daemons = new NetnsDaemons(BUNDLE);
    cleanup.add("the daemons", () => daemons.close());
    await lab.open(count);
    const hosts = lab.hosts.map((host, at): AttachHost => {
      const name = `h${at + 1}`;
      const daemon = daemons.start(host, name, at === 0 ? [] : ["192.0.2.1"]);
      return { name, netns: host.netns, daemon };
    });
    const mesh = new AttachMesh(tag, hosts);
    cleanup.add("namespaces of containers", async () => {
      for (const netns of await mesh.#namespaces()) await run(["ip", "netns", "del", netns]);
    });
    await mesh.until("a mesh with addresses", async ({ daemon }) => {
      const { mesh: seen, ipam } = await daemon.client.status();
      return seen.alive === count && ipam.founded;
    });
    return mesh;
  }

  /** Waits until something holds on every host; a daemon that does not answer is asked again. */
  async until(what: string, holds: (host: AttachHost) => Promise<boolean>): Promise<void> {
    const startMs = performance.now();
    for (const host of this.hosts) {
      while (!(await holds(host).catch(() => false))) {
        if (performance.now() - startMs > PATIENCE_MS) throw new Error(`${host.name}: no ${what}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }

  /** A namespace with an endpoint in it. */
  async container(host: AttachHost): Promise<Container> {
    this.#born += 1;
    const netns = `tw${this.#tag}-c${this.#born}`;
    await run(["ip", "netns", "add", netns]);
    const startMs = performance.now();
    const wish = { target: netns, names: [netns], dns: false, gateway: false };
    const { ip } = await host.daemon.client.attach(wish);
    return { netns, host, ip, attachMs: performance.now() - startMs };
  }

  async remove({ netns, host }: Container): Promise<void> {
    await host.daemon.client.detach({ target: netns, network: undefined });
    await run(["ip", "netns", "del", netns]);
  }

  /** Echo requests from one container to another, how many came back. */
  async echoes(from: Container, to: Container, count: number): Promise<number> {
    const ping = ["busybox", "ping", "-q", "-c", String(count), "-W", "1", to.ip];
    const argv = ["ip", "netns", "exec", from.netns, ...ping];
    const { stdout, stderr } = await run(argv, { allowFailure: true });
    const received = /(\d+) packets received/.exec(stdout)?.[1];
    if (received === undefined) throw new Error(`${argv.join(" ")}: ${stdout}${stderr}`);
    return Number(received);
  }

  size({ daemon }: AttachHost): DaemonSize {
    const pid = daemon.child.pid ?? 0;
    return {
      rssMib: memoryMib(pid).rss,
      fds: readdirSync(`/proc/${pid}/fd`).length,
      cpuMs: cpuMs(pid),
      stateKib: bytesIn(join(daemon.home, "state")) / 1024,
    };
  }

  /** Bytes that left the host so far. */
  sentBytes({ netns, daemon }: AttachHost): number {
    const pid = daemon.child.pid ?? 0;
    const line = readFileSync(`/proc/${pid}/net/dev`, "utf8").match(/^\s*eth0:(.*)$/m)?.[1];
    const sent = Number(line?.trim().split(/\s+/)[8]);
    if (Number.isNaN(sent)) throw new Error(`no eth0 in ${netns}`);
    return sent;
  }

  /** Value of a metric without labels, as the daemon tells Prometheus. */
  async metric({ netns }: AttachHost, name: string): Promise<number> {
    const get = ["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:6784/metrics"];
    const { stdout } = await run(["ip", "netns", "exec", netns, ...get]);
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(stdout)?.[1] ?? Number.NaN);
  }

  /** Devices of endpoints and namespaces of containers that there still are. */
  async left(): Promise<number> {
    const namespaces = await this.#namespaces();
    let devices = 0;
    for (const { netns } of this.hosts) {
      const { stdout } = await run(["ip", "-n", netns, "-o", "link"]);
      devices += (stdout.match(/\btsw[a-z0-9]+@/g) ?? []).length;
    }
    return namespaces.length + devices;
  }

  async #namespaces(): Promise<string[]> {
    const { stdout } = await run(["ip", "netns", "list"]);
    return stdout.match(new RegExp(`^tw${this.#tag}-c\\d+`, "gm")) ?? [];
  }
}

function bytesIn(dir: string): number {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + sizeOf(join(entry.parentPath, entry.name)), 0);
}

/** A journal that was just replaced counts with its next reading. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
