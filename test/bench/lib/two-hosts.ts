/**
 * Two hosts of a lab with real engines, on which tsweave and Docker Swarm run side by side: the
 * ground of the benches control, data and dns.
 */
import { spawn } from "node:child_process";
import { MeshHosts } from "../../lib/mesh-hosts.ts";
import type { Cleanup } from "./cleanup.ts";

export const OURS = "tsweave";
/** An attachable Swarm overlay over both hosts, unless Swarm did not start. */
export const SWARM = "swarm0";
/** A user-defined bridge network of each host alone. */
export const PLAIN = "plain0";

export interface TwoHosts {
  readonly mesh: MeshHosts;
  /** Why there is no Swarm overlay, undefined when there is one. */
  readonly noSwarm: string | undefined;
}

/** Builds the lab; the cleanup removes it. */
export async function twoHosts(
  name: string,
  cleanup: Cleanup,
  options: { readonly swarm: boolean; readonly flags?: readonly string[] },
): Promise<TwoHosts> {
  const mesh = await MeshHosts.up(name, ["h1", "h2"], ...(options.flags ?? []));
  cleanup.add("the lab", () => mesh.lab.down());
  for (const host of ["h1", "h2"]) await mesh.docker(host, "network", "create", PLAIN);
  let noSwarm: string | undefined = "not asked for";
  if (options.swarm) {
    noSwarm = await startSwarm(mesh).catch((error: unknown) => String(error));
  }
  return { mesh, noSwarm };
}

async function startSwarm(mesh: MeshHosts): Promise<undefined> {
  const [first, second] = [mesh.address("h1"), mesh.address("h2")];
  await mesh.docker("h1", "swarm", "init", "--advertise-addr", first);
  const token = await mesh.docker("h1", "swarm", "join-token", "-q", "worker");
  const join = ["swarm", "join", "--token", token, "--advertise-addr", second];
  await mesh.docker("h2", ...join, `${first}:2377`);
  const overlay = ["network", "create", "-d", "overlay", "--attachable"];
  await mesh.docker("h1", ...overlay, "--subnet", "10.99.0.0/24", SWARM);
  return undefined;
}

/** Starts a container that only sleeps; the process number of its first process on the machine. */
export async function sleeper(
  mesh: MeshHosts,
  host: string,
  name: string,
  network: string,
): Promise<Sleeper> {
  const run = ["run", "-d", "--network", network, "--name", name, "--stop-timeout", "1"];
  const id = await mesh.docker(host, ...run, "busybox", "sleep", "100000");
  const pid = await mesh.docker(host, "inspect", "-f", "{{.State.Pid}}", name);
  const ip = await mesh.ip(host, name);
  return { host, name, id, ip, enter: [...mesh.lab.host(host).enter, ...inNetwork(pid)] };
}

export interface Sleeper {
  readonly host: string;
  readonly name: string;
  readonly id: string;
  readonly ip: string;
  /** Prefix of commands that run in its network namespace, with the machine's files. */
  readonly enter: readonly string[];
}

function inNetwork(pid: string): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`];
}

/** Path, on the host, of the namespace in which an overlay network's bridge is. */
export async function overlayNamespace(
  mesh: MeshHosts,
  host: string,
  network: string,
): Promise<string> {
  const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", network);
  if (network === OURS) return `/run/netns/tsweave-${id.slice(0, 10)}`;
  const find = `ls -d /run/docker/netns/*-${id.slice(0, 10)} | head -n 1`;
  return (await mesh.ok(host, ["sh", "-c", find])).trim();
}

const WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"];

/**
 * Starts a command in a host, behind the prefix `enter`; its output lines are handed on as they
 * come. Stop it at the end: who enters another pid namespace forks, so both die with their parent.
 */
export function follow(
  enter: readonly string[],
  argv: readonly string[],
  receive: (line: string) => void,
): () => void {
  const [command = "", ...args] = [...WITH_PARENT, ...enter, ...WITH_PARENT, ...argv];
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) receive(line);
  });
  return () => {
    child.kill("SIGKILL");
  };
}

/** Wall clock in ms, fine enough to be compared with the kernel's and the engine's own stamps. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
