/** The roads a packet can take between two sandboxes, each with its two ends. */
import type { PeerRow } from "../../../cli/control/api.ts";
import { eventually, type MeshHosts } from "../../lib/mesh-hosts.ts";
import { OURS, PLAIN, SWARM, sleeper, type TwoHosts } from "../lib/two-hosts.ts";

/** One road: where the client runs, where the server runs, and the server's address. */
export interface Path {
  readonly name: string;
  readonly client: readonly string[];
  readonly server: readonly string[];
  readonly address: string;
}

export const NAMES = {
  raw: "host to host",
  bridge: "bridge on one host",
  ideal: "VXLAN by hand",
  swarm: "Swarm overlay",
  ours: "tsweave",
  direct: "tsweave direct path",
} as const;

export async function makePaths({ mesh, noSwarm }: TwoHosts): Promise<Path[]> {
  const [h1, h2] = [mesh.lab.host("h1"), mesh.lab.host("h2")];
  const paths: Path[] = [
    { name: NAMES.raw, client: h1.enter, server: h2.enter, address: h2.address },
    await betweenContainers(mesh, NAMES.bridge, PLAIN, "h1"),
    await byHand(mesh),
    await inTunnels(mesh),
    await withoutTunnel(mesh),
  ];
  if (noSwarm === undefined) {
    paths.push(await betweenContainers(mesh, NAMES.swarm, SWARM, "h2"));
  }
  return paths;
}

/** A network that its label keeps in the tunnels. */
async function inTunnels(mesh: MeshHosts): Promise<Path> {
  const options = ["-d", "tsweave", "--ipam-driver", "tsweave", "--label", "tsweave.direct=off"];
  await mesh.docker("h1", "network", "create", ...options, "--subnet", "10.97.0.0/24", TUNNELS);
  await eventually("the network on h2", 10_000, async () => {
    await mesh.docker("h2", "network", "inspect", TUNNELS);
  });
  return await betweenContainers(mesh, NAMES.ours, TUNNELS, "h2");
}

async function withoutTunnel(mesh: MeshHosts): Promise<Path> {
  const path = await betweenContainers(mesh, NAMES.direct, OURS, "h2");
  for (const host of ["h1", "h2"]) {
    await eventually(`direct from ${host}`, 30_000, async () => {
      const { peers } = await mesh.json<{ peers: PeerRow[] }>(host, "status", "peers");
      const networks = peers.flatMap((peer) => peer.path?.networks ?? []);
      const found = networks.find(({ network }) => network === OURS);
      if (found?.direct !== true) throw new Error(found?.why ?? "no path is known");
    });
  }
  return path;
}

/** A container on h1 asks one on `serverHost`. */
async function betweenContainers(
  mesh: MeshHosts,
  name: string,
  network: string,
  serverHost: string,
): Promise<Path> {
  const client = await sleeper(mesh, "h1", `client-${network}`, network);
  const server = await sleeper(mesh, serverHost, `server-${network}`, network);
  return { name, client: client.enter, server: server.enter, address: server.ip };
}

/** Our network whose packets never leave their tunnels. */
const TUNNELS = "tunnels0";

/** Of the bench alone, so that it meets neither Swarm's nor our own VXLAN devices. */
const PORT = 14_789;
const VNI = 77;

/**
 * The same devices and flags as an overlay's, made by hand with static entries, and with the
 * bridge's frames kept out of iptables: what the kernel can do at best on this road.
 */
async function byHand(mesh: MeshHosts): Promise<Path> {
  const ends = ["h1", "h2"].map((host, at) => ({
    host,
    ip: `10.98.0.${at + 1}`,
    mac: `02:42:0a:62:00:0${at + 1}`,
    vtep: mesh.address(host),
  }));
  for (const [at, own] of ends.entries()) {
    const other = ends[1 - at];
    if (other === undefined) throw new Error("two hosts are needed");
    await mesh.ok(own.host, ["sh", "-ec", byHandScript(own, other)]);
  }
  const inContainer = ["nsenter", "--net=/run/netns/hand-c"];
  return {
    name: NAMES.ideal,
    client: [...mesh.lab.host("h1").enter, ...inContainer],
    server: [...mesh.lab.host("h2").enter, ...inContainer],
    address: "10.98.0.2",
  };
}

interface End {
  readonly ip: string;
  readonly mac: string;
  readonly vtep: string;
}

function byHandScript(own: End, other: End): string {
  return `
    ip netns add hand-o
    ip netns add hand-c
    ip link add vxhand type vxlan id ${VNI} dstport ${PORT} nolearning proxy l2miss l3miss
    ip link set vxhand netns hand-o name vxlan0
    ip -n hand-o link add br0 type bridge
    nsenter --net=/run/netns/hand-o sh -c '
      for call in /proc/sys/net/bridge/bridge-nf-call-*; do
        [ ! -e "$call" ] || echo 0 > "$call"
      done'
    ip -n hand-o link set vxlan0 mtu 1450 master br0 up
    ip -n hand-o link add veth0 mtu 1450 type veth peer name eth0 netns hand-c \
      address ${own.mac} mtu 1450
    ip -n hand-o link set veth0 master br0 up
    ip -n hand-o link set br0 mtu 1450 up
    ip -n hand-c link set lo up
    ip -n hand-c addr add ${own.ip}/24 dev eth0
    ip -n hand-c link set eth0 up
    ip -n hand-o neigh replace ${other.ip} lladdr ${other.mac} dev vxlan0 nud permanent
    bridge -n hand-o fdb replace ${other.mac} dev vxlan0 dst ${other.vtep} self permanent
    bridge -n hand-o fdb replace ${other.mac} dev vxlan0 master static`;
}
