/** The hosts under chaos: what is asked of them, the state they are brought back to. */
import { readdirSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { BUNDLE, MeshHosts } from "../lib/mesh-hosts.ts";
import { DEFAULT_NETWORK, GROUPS, SECOND_NETWORK } from "./plan.ts";

/** All that a container may be on. */
export const NETWORKS: readonly string[] = [DEFAULT_NETWORK, SECOND_NETWORK, ...GROUPS];
/** Preloaded into each daemon; see there. */
const CLOCK = fileURLToPath(new URL("./clock-offset.mjs", import.meta.url));
export const STATE = "/var/lib/tsweave";
const ASK_MS = 5_000;
/** Begins the command line of a daemon whose clock can be stepped. */
const DAEMON = ["env", `NODE_OPTIONS=--import=${CLOCK}`, process.execPath, BUNDLE];

/** One container's place on one network, by its engine. */
export interface Place {
  readonly id: string;
  readonly name: string;
  readonly network: string;
  readonly ip: string;
  readonly aliases: readonly string[];
  readonly pid: number;
}

/** A port of a host that leads to port 80 of one of its containers. */
export interface Published {
  readonly id: string;
  readonly name: string;
  readonly port: number;
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Ports: readonly { readonly PublicPort?: number; readonly Type: string }[];
  readonly NetworkSettings: { readonly Networks: Record<string, { IPAddress: string }> };
}

interface Inspected {
  readonly State: { readonly Running: boolean; readonly Pid: number };
  readonly NetworkSettings: {
    readonly Networks: Record<string, { IPAddress: string; Aliases: string[] | null }>;
  };
}

export class World {
  readonly mesh: MeshHosts;
  readonly hosts: readonly string[];
  /** The host whose state directory is a small file system of its own. */
  readonly tight: string;
  readonly #startedMs = performance.now();

  private constructor(mesh: MeshHosts, tight: string) {
    this.mesh = mesh;
    this.hosts = mesh.lab.hosts.map(({ name }) => name);
    this.tight = tight;
  }

  /** Hosts with daemons, both networks, and one long-lived container on each host. */
  static async up(
    hosts: readonly string[],
    { tight, keep }: { readonly tight: string; readonly keep: boolean },
    made: (mesh: MeshHosts) => void,
  ): Promise<World> {
    const mesh = await MeshHosts.hostsOnly("chaos", { hosts, keep });
    made(mesh);
    const world = new World(mesh, tight);
    await mesh.ok(tight, ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", STATE]);
    await Promise.all(hosts.map((host) => world.launch(host)));
    const create = ["network", "create", SECOND_NETWORK, "--subnet", "10.77.0.0/16"];
    const { code, stderr } = await mesh.cli(hosts[0] ?? "", ...create);
    if (code !== 0) throw new Error(`tsweave ${create.join(" ")}: ${stderr}`);
    for (const host of hosts) {
      await mesh.web(host, watcher(host), "--restart", "always");
      await mesh.docker(host, "network", "connect", SECOND_NETWORK, watcher(host));
    }
    return world;
  }

  /** Milliseconds of this run. */
  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  host(name: string): Host {
    return this.mesh.lab.host(name);
  }

  /**
   * Starts the daemon: by hand, which is refused while the engine does not answer, and it does not
   * while it waits for its plugin; then as the service unit does.
   */
  async launch(host: string): Promise<void> {
    const argv = [...DAEMON, "launch", ...this.mesh.addresses(host)];
    const { code } = await this.mesh.exec(host, argv, 60_000);
    if (code !== 0) await this.#serve(host);
  }

  /** Puts the clock of a host's daemons this far ahead, within 100 ms, until the power goes. */
  async setClock(host: string, offsetMs: number): Promise<void> {
    const script = 'echo "$1" > /run/chaos-clock.new; mv /run/chaos-clock.new /run/chaos-clock';
    await this.mesh.ok(host, ["sh", "-c", script, "sh", String(offsetMs)]);
  }

  /** The state directory of a host that is off is emptied: its disk was replaced. */
  loseState(host: string): void {
    const dir = this.host(host).path(STATE);
    for (const file of readdirSync(dir)) rmSync(join(dir, file), { recursive: true, force: true });
  }

  /**
   * Power on, in the order of the service unit: an engine that starts containers of a network whose
   * plugin is not there waits for it, up to a minute, before it answers anybody.
   */
  async boot(host: string): Promise<void> {
    await this.host(host).boot({ startEngine: false });
    await this.#serve(host);
    await this.host(host).startEngine();
  }

  async #serve(host: string): Promise<void> {
    const log = ["--log-file", `${STATE}/tsweave.log`];
    const launch = [...DAEMON, "launch", "--foreground", ...log];
    // A child of the host's process 1: nsenter would stop with it, and never reap it.
    const behind = ["sh", "-c", 'setsid "$@" > /dev/null 2>&1 < /dev/null &', "sh"];
    await this.mesh.ok(host, [...behind, ...launch, ...this.mesh.addresses(host)]);
    await until(`the daemon of ${host}`, () => this.#isServed(host), { timeoutMs: 20_000 });
  }

  async #isServed(host: string): Promise<boolean> {
    const test = ["test", "-S", "/run/docker/plugins/tsweave.sock"];
    return (await this.mesh.exec(host, test)).code === 0;
  }

  /** The daemon's process in the host; undefined when none runs. */
  async daemonPid(host: string): Promise<number | undefined> {
    const { stdout } = await this.mesh.exec(host, ["pgrep", "-f", `${BUNDLE} launch --fore`]);
    const pid = Number(stdout.trim().split("\n")[0]);
    return pid > 0 ? pid : undefined;
  }

  /** A control API object. Throws when the daemon does not answer within 5 s. */
  async control<T>(host: string, path: string): Promise<T> {
    return await getJson<T>(this.host(host).path("/run/tsweave/control.sock"), path);
  }

  /** Which running containers have which address; undefined when the engine cannot be asked. */
  async running(host: string): Promise<Omit<Place, "aliases" | "pid">[] | undefined> {
    try {
      const list = await this.#engine<Listed[]>(host, "/containers/json");
      return list.flatMap(({ Id, Names, NetworkSettings }) =>
        NETWORKS.flatMap((network) => {
          const ip = NetworkSettings.Networks[network]?.IPAddress ?? "";
          if (ip === "") return [];
          return [{ id: Id.slice(0, 12), name: (Names[0] ?? "").slice(1), network, ip }];
        }),
      );
    } catch {
      // A host without power, or an engine that is being started, cannot be asked: no fact.
      return undefined;
    }
  }

  /** As `running`, with what only an inspection tells. Throws when the engine does not answer. */
  async places(host: string): Promise<Place[]> {
    const found: Place[] = [];
    for (const one of (await this.running(host)) ?? []) {
      const { State, NetworkSettings } = await this.#engine<Inspected>(
        host,
        `/containers/${one.id}/json`,
      );
      const aliases = NetworkSettings.Networks[one.network]?.Aliases ?? [];
      if (State.Running) found.push({ ...one, aliases, pid: State.Pid });
    }
    return found;
  }

  /** Throws when the engine does not answer. */
  async published(host: string): Promise<Published[]> {
    const list = await this.#engine<Listed[]>(host, "/containers/json");
    return list.flatMap(({ Id, Names, Ports }) => {
      const ports = new Set(Ports.flatMap(({ PublicPort }) => PublicPort ?? []));
      const [id, name] = [Id.slice(0, 12), (Names[0] ?? "").slice(1)];
      return [...ports].map((port) => ({ id, name, port }));
    });
  }

  async #engine<T>(host: string, path: string): Promise<T> {
    return await getJson<T>(this.host(host).path("/run/docker.sock"), path);
  }
}

/** The long-lived container of a host. */
export function watcher(host: string): string {
  return `w-${host}`;
}

function getJson<T>(socketPath: string, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, headers: { Host: "local" }, timeout: ASK_MS });
    call.once("timeout", () => call.destroy(new Error(`GET ${path}: no answer in ${ASK_MS} ms`)));
    call.once("error", reject);
    call.once("response", (response) => {
      readBody(response).then((body) => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as T);
        else reject(new Error(`GET ${path}: ${response.statusCode} ${body}`));
      }, reject);
    });
    call.end();
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
