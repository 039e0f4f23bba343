/**
 * The LAN of a lab: one bridge in a network namespace of its own, without any link to the machine,
 * so that no firewall of the machine sees a frame of the lab and no frame of it gets out. A host's
 * port on the bridge has the host's name.
 */
import { run } from "./exec.ts";
import { holderPid, startHolder } from "./processes.ts";
import { labPaths } from "./record.ts";

export const BRIDGE = "lan0";
export const MTU_BYTES = 1500;

/** Best effort: where these are built in, or autoload, there is nothing to load. */
const MODULES = ["bridge", "br_netfilter", "veth", "vxlan", "overlay", "nf_tables", "sch_tbf"];

/**
 * Keeps the namespace. The kernel starts each namespace with bridged frames sent through iptables
 * (net.bridge.bridge-nf-call-*, Documentation/networking/ip-sysctl); a LAN has no such thing.
 */
const LAN_INIT = `
set -e
for call in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$call" ] || echo 0 > "$call"; done
[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip link add ${BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0
ip link set ${BRIDGE} up
echo ready
exec sleep infinity > /dev/null 2>&1`;

/** Makes the namespace and its bridge. */
export async function startLan(lab: string): Promise<void> {
  await run(["sh", "-c", `modprobe -qa ${MODULES.join(" ")}`], { allowFailure: true });
  const paths = labPaths(lab);
  await startHolder(paths.holder("lan"), paths.log("lan"), [
    ...["unshare", "--net", "sh", "-c", LAN_INIT],
  ]);
}

/** The command line prefix that runs a command in the network namespace of a pid. */
export function inNetwork(pid: number): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, "--"];
}

/** The command line prefix for the LAN's namespace. Throws if the lab's LAN is not running. */
export function inLan(lab: string): string[] {
  const pid = holderPid(labPaths(lab).holder("lan"));
  if (pid === undefined) throw new Error(`lab ${lab} is not up; npm run lab -- up --name ${lab}`);
  return inNetwork(pid);
}

/** What a machine on the LAN needs to be reached there. */
export interface Plug {
  /** Name of the bridge port. */
  readonly port: string;
  /** A process in the machine's network namespace. */
  readonly pid: number;
  readonly address: string;
  readonly mac: string;
  /** Address of the router, or undefined for the router itself. */
  readonly gateway: string | undefined;
  readonly mtuBytes: number;
}

/** Puts a cable between a namespace (there eth0) and the bridge, and gives eth0 its address. */
export async function plugIn(lab: string, plug: Plug): Promise<void> {
  const mtu = `mtu ${plug.mtuBytes}`;
  await pullOut(lab, plug.port);
  const peer = `peer name eth0 netns ${plug.pid} ${mtu} address ${plug.mac}`;
  await ipBatch(inLan(lab), [
    `link add name ${plug.port} ${mtu} type veth ${peer}`,
    `link set dev ${plug.port} master ${BRIDGE} up`,
  ]);
  await ipBatch(inNetwork(plug.pid), [
    "link set lo up",
    `addr add ${plug.address}/24 dev eth0`,
    "link set eth0 up",
    ...(plug.gateway === undefined ? [] : [`route add default via ${plug.gateway}`]),
  ]);
}

/** Removes a port and with it the cable's other end. A port that is not there is fine. */
export async function pullOut(lab: string, port: string): Promise<void> {
  await run([...inLan(lab), "ip", "link", "del", "dev", port], { allowFailure: true });
}

/** Runs ip commands in one process in the namespace that `prefix` enters. */
async function ipBatch(prefix: readonly string[], lines: readonly string[]): Promise<void> {
  await run([...prefix, "ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
