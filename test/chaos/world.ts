/** The hosts under chaos: what is asked of them, the state they are brought back to. */
import { type IncomingMessage, request } from "node:http";
import { until } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { BUNDLE, MeshHosts } from "../lib/mesh-hosts.ts";
import { DEFAULT_NETWORK, SECOND_NETWORK } from "./plan.ts";

export const NETWORKS = [DEFAULT_NETWORK, SECOND_NETWORK];
export const STATE = "/var/lib/tsweave";
const ASK_MS = 5_000;

/** One container's place on one network, by its engine. */
export interface Place {
  readonly id: string;
  readonly name: string;
  readonly network: string;
  readonly ip: string;
  readonly aliases: readonly string[];
  readonly pid: number;
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
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

  async launch(host: string): Promise<void> {
    await this.mesh.launch(host, this.mesh.addresses(host));
  }

  /**
   * Power on, in the order of the service unit: an engine that starts containers of a network whose
   * plugin is not there waits for it, up to a minute, before it answers anybody.
   */
  async boot(host: string): Promise<void> {
    await this.host(host).boot({ startEngine: false });
    const log = ["--log-file", `${STATE}/tsweave.log`];
    const launch = [process.execPath, BUNDLE, "launch", "--foreground", ...log];
    // A child of the host's process 1: nsenter would stop with it, and never reap it.
    const behind = ["sh", "-c", 'setsid "$@" > /dev/null 2>&1 < /dev/null &', "sh"];
    await this.mesh.ok(host, [...behind, ...launch, ...this.mesh.addresses(host)]);
    await until(`the daemon of ${host}`, () => this.#isServed(host), { timeoutMs: 20_000 });
    await this.host(host).startEngine();
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
