/** tsweave on the hosts of a lab: launching and asking it, running containers on its network. */
import assert from "node:assert/strict";
import type { ExecResult } from "../lab/exec.ts";
import { Lab, type LabOptions } from "../lab/lab.ts";
import { builtProgram } from "./bundle.ts";

/** What is launched. */
export const BUNDLE = builtProgram();

export interface EndpointJson {
  readonly network: string;
  readonly id: string;
  readonly name: string;
  readonly ip: string;
  readonly mac: string;
  readonly vtep: string;
  readonly local: boolean;
}

export class MeshHosts {
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  /** A lab of this process alone: the same test may run beside itself in another clone. */
  static async hostsOnly(name: string, options: Omit<LabOptions, "name">): Promise<MeshHosts> {
    const own = `${name}-${process.pid.toString(36)}`;
    return new MeshHosts(await Lab.up({ ...options, name: own }));
  }

  /** A lab with the daemon launched on every host, each naming all others as peers. */
  static async up(
    name: string,
    hosts: readonly string[],
    ...flags: readonly string[]
  ): Promise<MeshHosts> {
    const mesh = await MeshHosts.hostsOnly(name, { hosts });
    try {
      await Promise.all(hosts.map((host) => mesh.launch(host, mesh.addresses(host), ...flags)));
    } catch (error) {
      await mesh.lab.down();
      throw error;
    }
    return mesh;
  }

  /** Addresses of all hosts but one. */
  addresses(except: string): string[] {
    return this.lab.hosts.filter(({ name }) => name !== except).map(({ address }) => address);
  }

  address(host: string): string {
    return this.lab.host(host).address;
  }

  async exec(host: string, argv: readonly string[], timeoutMs = 30_000): Promise<ExecResult> {
    return await this.lab.host(host).exec([...argv], { timeoutMs, allowFailure: true });
  }

  /** Runs a command that must succeed; its standard output. */
  async ok(host: string, argv: readonly string[], timeoutMs = 30_000): Promise<string> {
    const { stdout, stderr, code } = await this.exec(host, argv, timeoutMs);
    assert.equal(code, 0, `${host}: ${argv.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async cli(host: string, ...args: string[]): Promise<ExecResult> {
    return await this.exec(host, [process.execPath, BUNDLE, ...args], 60_000);
  }

  async launch(host: string, peers: readonly string[], ...flags: string[]): Promise<string> {
    const args = [process.execPath, BUNDLE, "launch", ...flags, ...peers];
    return await this.ok(host, args, 60_000);
  }

  async json<T>(host: string, ...args: string[]): Promise<T> {
    const { stdout, stderr, code } = await this.cli(host, ...args, "--json");
    assert.equal(code, 0, `${host}: tsweave ${args.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  async endpoints(host: string): Promise<EndpointJson[]> {
    return (await this.json<{ endpoints: EndpointJson[] }>(host, "status", "endpoints")).endpoints;
  }

  async docker(host: string, ...args: string[]): Promise<string> {
    return (await this.ok(host, ["docker", ...args], 60_000)).trim();
  }

  /** Starts a container that serves its own name over HTTP; its address on the network. */
  async web(host: string, name: string, ...flags: string[]): Promise<string> {
    const serve = `mkdir -p /www; echo ${name} > /www/index.html; exec httpd -f -h /www`;
    const net = flags.includes("--net") ? [] : ["--net", "tsweave"];
    const run = ["run", "-d", ...net, "--name", name, "--stop-timeout", "1", ...flags];
    await this.docker(host, ...run, "busybox", "sh", "-c", serve);
    return await this.ip(host, name);
  }

  /** Starts a container that Docker gives no network, to be attached. */
  async lone(host: string, name: string): Promise<void> {
    const run = ["run", "-d", "--net", "none", "--name", name, "--stop-timeout", "1"];
    await this.docker(host, ...run, "busybox", "sleep", "600");
  }

  async ip(host: string, name: string): Promise<string> {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    return (await this.docker(host, "inspect", "-f", format, name)).trim();
  }

  /** Runs a command inside a container that must succeed. */
  async inside(host: string, container: string, ...argv: string[]): Promise<string> {
    return await this.docker(host, "exec", container, ...argv);
  }

  async tryInside(host: string, container: string, ...argv: string[]): Promise<ExecResult> {
    return await this.exec(host, ["docker", "exec", container, ...argv]);
  }

  /** The daemon's process id on a host. */
  async daemonPid(host: string): Promise<number> {
    const status = await this.json<{ pid: number }>(host, "status");
    return status.pid;
  }
}

/** Repeats until `check` does not throw, or throws its last error after the deadline. */
export async function eventually<T>(
  what: string,
  withinMs: number,
  check: () => Promise<T>,
): Promise<T> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= endMs) {
        throw new Error(`${what}: not within ${withinMs} ms: ${String(error)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
