/**
 * Docker Swarm on the same engine. Its VXLAN devices and ours share one UDP port and one socket:
 * the kernel tells them apart by VNI, so only a VNI that both have is a trouble.
 */
import { isRecord } from "../control/error-body.ts";
import { type Finding, findings } from "./finding.ts";

const VNIS = "com.docker.network.driver.overlay.vxlanid_list";
const DEFAULT_PORT = 4789;

export interface OwnNetworks {
  readonly vxlanPort: number;
  readonly networks: readonly { readonly name: string; readonly vni: number }[];
}

/** Reads the engine's `/info` and `/networks`; nothing to say where Swarm is off. */
export function swarmFindings(info: unknown, networks: unknown, own: OwnNetworks): Finding[] {
  const { ok, fail } = findings("docker");
  const swarm = isRecord(info) && isRecord(info.Swarm) ? info.Swarm : {};
  if (swarm.LocalNodeState !== "active") return [];
  // A worker is not told the port; Swarm's own default is then the likely one.
  const cluster = isRecord(swarm.Cluster) ? swarm.Cluster : {};
  const port = Number(cluster.DataPathPort) || DEFAULT_PORT;
  if (port !== own.vxlanPort) {
    return [ok(`Swarm is active, on UDP ${port}; tsweave has ${own.vxlanPort}`)];
  }
  const clashes = overlays(networks).flatMap(({ name, vnis }) =>
    own.networks
      .filter(({ vni }) => vnis.includes(vni))
      .map(({ name: ours, vni }) =>
        fail(
          `Swarm's network ${name} and ${ours} both have VNI ${vni}, on UDP ${port}: on a host ` +
            "the first of them works, the other does not",
          `docker network rm ${name}, or tsweave launch with another --vxlan-port on all hosts`,
        ),
      ),
  );
  if (clashes.length > 0) return clashes;
  return [ok(`Swarm is active; its networks share UDP ${port} with tsweave, by other VNIs`)];
}

function overlays(networks: unknown): { name: string; vnis: readonly number[] }[] {
  return (Array.isArray(networks) ? networks : []).flatMap((network: unknown) => {
    if (!isRecord(network) || network.Driver !== "overlay") return [];
    const list = isRecord(network.Options) ? network.Options[VNIS] : undefined;
    if (typeof list !== "string") return [];
    return [{ name: String(network.Name), vnis: list.split(",").map(Number) }];
  });
}
