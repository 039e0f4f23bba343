/**
 * Looks at the host before launch: rights, tools, kernel, ports and address space.
 *
 * Law: whatever is probed is removed again, also when the probe fails; a host that lacks
 * something gets all its problems in one go, each with the cure.
 */
import { access, constants, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { messageOf, TsweaveError } from "../../mesh/index.ts";
import { readBatchErrors } from "../failures.ts";
import { parseNameservers, parseRoutes, probeProblem, subnetProblems } from "../preflight.ts";
import { run, toolEnv, toolMissing } from "./exec.ts";

export interface HostCheckOptions {
  /** UDP port for VXLAN; tried out. */
  readonly vxlanPort: number;
  /** As for LinuxKernel; default: this process's own namespace. */
  readonly hostNetns?: string;
}

const TOOLS = ["ip", "bridge", "nft", "nsenter", "setpriv"];
/** Not used by anyone: the last but one of the 24-bit space. */
const PROBE_VNI = 0xfffffe;

/** Everything that keeps an overlay from working here; empty when nothing does. */
export async function checkHost(options: HostCheckOptions): Promise<TsweaveError[]> {
  if (process.getuid?.() !== 0) {
    return [new TsweaveError("NOT_ROOT", "tsweave must run as root", { hint: "use sudo" })];
  }
  const missing: string[] = [];
  for (const tool of TOOLS) if (!(await onPath(tool))) missing.push(tool);
  const problems = missing.map((tool) => toolMissing(tool));
  return missing.includes("ip") ? problems : [...problems, ...(await probeKernel(options))];
}

/** Overlaps of the subnet with host routes and name servers; empty when there are none. */
export async function subnetOverlaps(
  subnet: string,
  options: { readonly prefix?: readonly string[]; readonly resolvConf?: string } = {},
): Promise<TsweaveError[]> {
  const family = subnet.includes(":") ? "-6" : "-4";
  const argv = [...(options.prefix ?? []), "ip", "-j", family, "route", "show"];
  const { stdout } = await run(argv);
  const conf = await readFile(options.resolvConf ?? "/etc/resolv.conf", "utf8").catch(() => "");
  return subnetProblems(subnet, parseRoutes(stdout), parseNameservers(conf));
}

async function onPath(tool: string): Promise<boolean> {
  for (const folder of (toolEnv().PATH ?? "").split(delimiter)) {
    const found = await access(join(folder, tool), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/** Creates one device of each kind in a namespace that exists only for this. */
async function probeKernel(options: HostCheckOptions): Promise<TsweaveError[]> {
  const netns = `tsweave-probe-${process.pid}`;
  const created = await run(["ip", "netns", "add", netns], { tolerant: true });
  if (created.exitCode !== 0) {
    const hint = "run as root, outside of an unprivileged container";
    const reason = created.stderr.split("\n")[0] ?? "";
    return [new TsweaveError("KERNEL_LACKS", `no network namespaces (${reason})`, { hint })];
  }
  try {
    return await probeDevices(netns, options);
  } catch (error) {
    return [new TsweaveError("KERNEL_LACKS", `kernel probe: ${messageOf(error)}`)];
  } finally {
    await run(["ip", "netns", "del", netns], { tolerant: true });
  }
}

async function probeDevices(netns: string, options: HostCheckOptions): Promise<TsweaveError[]> {
  const host = options.hostNetns ?? `/proc/${process.pid}/ns/net`;
  const lines: [string, string][] = [
    ["bridge", "link add probe0 type bridge"],
    ["veth", "link add probe1 type veth peer name probe2"],
    [
      "vxlan",
      `link add probe3 link-netns ${host} type vxlan id ${PROBE_VNI} ` +
        `dstport ${options.vxlanPort} nolearning proxy l2miss l3miss`,
    ],
    ["socket", "link set probe3 up"],
  ];
  const input = `${lines.map(([, line]) => line).join("\n")}\n`;
  const argv = ["ip", "-n", netns, "-force", "-batch", "-"];
  const { stderr, exitCode } = await run(argv, { input, tolerant: true });
  const { byLine, crash } = readBatchErrors(stderr);
  const problems: TsweaveError[] = [];
  for (const [index, [what]] of lines.entries()) {
    const error = byLine.get(index + 1);
    if (error === undefined) continue;
    if (what !== "socket") problems.push(probeProblem(what, error));
    else if (!byLine.has(index)) problems.push(portProblem(options.vxlanPort, error));
  }
  if (exitCode !== 0 && problems.length === 0) problems.push(probeProblem("vxlan", crash ?? "?"));
  return problems;
}

function portProblem(port: number, error: string): TsweaveError {
  if (!/Address already in use/.test(error)) return probeProblem("vxlan", error);
  return new TsweaveError("PORT_IN_USE", `UDP port ${port} (VXLAN) is taken by another program`, {
    hint: `ss -ulnp sport = :${port} shows it; or choose another with --vxlan-port on all hosts`,
  });
}
