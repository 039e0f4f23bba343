/**
 * Network namespaces of this host as the attach machinery needs them: told apart, found again,
 * looked into, changed.
 *
 * Law: nothing here keeps a namespace alive but the host's: no descriptor is held, every process
 * that enters another ends within its deadline.
 */
import { readdir, readFile, stat, statfs } from "node:fs/promises";
import type { NamespaceView } from "../attach/choice.ts";
import { type EndStep, GATEWAY_BRIDGE, NAT_TABLE, renderEnds } from "../attach/end-steps.ts";
import type { Namespaces } from "../attach/ports.ts";
import { realFailures, type StepFailure } from "../failures.ts";
import { parseObservation } from "../observe.ts";
import { parseRoutes } from "../preflight.ts";
import { runBatch } from "./batch.ts";
import { commandFailed, run } from "./exec.ts";
import { entering } from "./netns.ts";
import { OWN_NETNS, type ToolSessions } from "./tool-sessions.ts";

const NSFS_MAGIC = 0x6e736673;
const LOOK_LINES = "addr show\nroute show\n";
/** 127.0.0.11 as /proc/net/udp writes it. */
const DOCKER_RESOLVER = " 0B00007F:";
/** System call number of getsockopt by Node's name of the processor. */
const GETSOCKOPT: Readonly<Record<string, number>> = { x64: 55, arm64: 209, riscv64: 209 };
/** Perl's own getsockopt passes a buffer of another size, which the kernel refuses. */
const COOKIE_PROGRAM = `
socket(my $socket, 2, 2, 0) or exit 1;
my ($cookie, $length) = ("\\0" x 8, pack("L", 8));
exit 1 if syscall($ARGV[0], fileno $socket, 1, 71, $cookie, $length) != 0;
print unpack("Q", $cookie);
`;

/** Changes on the host's side go through `tools`; other namespaces are left at once. */
export function createNamespaces(tools: ToolSessions, hostPath = OWN_NETNS): Namespaces {
  return {
    hostPath,
    bootId: async () => (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
    inodeAt,
    cookieAt,
    find: findNamespace,
    look,
    apply: (steps) => applyEnds(steps, tools),
    passFirewall,
  };
}

async function inodeAt(path: string): Promise<number | undefined> {
  try {
    if ((await statfs(path)).type !== NSFS_MAGIC) return undefined;
    return (await stat(path)).ino;
  } catch {
    return undefined; // No such path or process any more: it leads to no namespace.
  }
}

async function cookieAt(path: string): Promise<string> {
  const number = GETSOCKOPT[process.arch];
  if (number === undefined) return "";
  const perl = ["/usr/bin/perl", "-e", COOKIE_PROGRAM, String(number)];
  const { exitCode, stdout } = await run([...entering(path), ...perl], { tolerant: true });
  return exitCode === 0 && /^\d{1,20}$/.test(stdout) ? stdout : "";
}

async function findNamespace(inode: number): Promise<string | undefined> {
  const name = `net:[${inode}]`;
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    const [, , , root, point] = line.split(" ");
    if (root === name && point !== undefined && (await inodeAt(point)) === inode) return point;
  }
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const path = `/proc/${pid}/ns/net`;
    if ((await inodeAt(path)) === inode) return path;
  }
  return undefined;
}

async function look(path: string): Promise<NamespaceView> {
  const enter = entering(path);
  // One process: the sockets, then links, addresses and routes.
  const look = ["sh", "-c", 'cat /proc/net/udp && exec "$@"', "sh"];
  const argv = [...enter, ...look, "ip", "-j", "-d", "-force", "-batch", "-"];
  const ip = await run(argv, { input: LOOK_LINES, tolerant: true });
  if (ip.exitCode !== 0) throw commandFailed(argv, ip);
  const shown = ip.stdout.split("\n").filter((line) => line !== "");
  const [links = "[]", routes = "[]"] = shown.filter((line) => line.startsWith("["));
  const { links: observed } = parseObservation(path, { ip: links, fdb: "", filters: "" });
  return {
    links: observed,
    routes: parseRoutes(routes),
    hasDefaultRoute: routes.includes('"dst":"default"'),
    hasResolver: shown.some((line) => line.includes(DOCKER_RESOLVER)),
  };
}

async function applyEnds(
  steps: readonly EndStep[],
  tools: ToolSessions,
): Promise<readonly StepFailure<EndStep>[]> {
  const failures: StepFailure<EndStep>[] = [];
  for (const batch of renderEnds(steps)) {
    const open = batch.netns === undefined ? tools : undefined;
    failures.push(...(await runBatch(run, [], batch, open)));
  }
  return realFailures(failures);
}

/** Takes NAT and firewall rules of tsweave_gw away; resolves with whether there was NAT. */
export async function withdrawGateway(): Promise<boolean> {
  await passFirewall(false);
  const table = NAT_TABLE.split(" ");
  const { exitCode } = await run(["nft", "delete", "table", ...table], { tolerant: true });
  return exitCode === 0;
}

/** DOCKER-USER is Docker's place for rules of others; Docker itself drops what it did not make. */
async function passFirewall(allow: boolean): Promise<void> {
  const chain = "DOCKER-USER";
  const comment = ["-m", "comment", "--comment", "tsweave"];
  const state = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];
  const rules = [
    ["-i", GATEWAY_BRIDGE, ...comment, "-j", "ACCEPT"],
    ["-o", GATEWAY_BRIDGE, ...state, ...comment, "-j", "ACCEPT"],
  ];
  const iptables = async (...argv: string[]): Promise<boolean> =>
    (await run(["iptables", "-w", "5", ...argv], { tolerant: true })).exitCode === 0;
  if (!(await iptables("-n", "-L", chain).catch(() => false))) return; // No Docker here.
  for (const rule of rules) {
    const isThere = await iptables("-C", chain, ...rule);
    if (allow && !isThere) await run(["iptables", "-w", "5", "-I", chain, ...rule]);
    if (!allow && isThere) await run(["iptables", "-w", "5", "-D", chain, ...rule]);
  }
}
