/** Multicast groups of this host: told in its rows, and of all hosts for `status groups`. */
import type { Clock } from "../../mesh/index.ts";
import {
  GroupWatch,
  groupsToWire,
  type LinuxKernel,
  type Network,
  overlayEnd,
} from "../../overlay/index.ts";
import type { HealthProblem } from "../control/api.ts";
import type { GroupRow, GroupsReply } from "../control/group-api.ts";
import type { Base } from "./base.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** Looks at the members of these networks once started. */
export function openGroups(
  { clock, log, stops }: Pick<Base, "clock" | "log" | "stops">,
  { node, address }: Pick<OpenMesh, "node" | "address">,
  kernel: Pick<LinuxKernel, "joins" | "onJoin">,
  networks: () => readonly Network[],
): GroupWatch {
  const { tables } = node;
  const groups = new GroupWatch({
    clock,
    log: log.child({ part: "groups" }),
    look: (netns) => kernel.joins(netns),
    onJoin: (notify) => kernel.onJoin(notify),
    networks,
    publish: (network, told) => {
      if (told.length === 0) tables.remove("groups", network);
      else tables.put("groups", network, groupsToWire({ vtep: address().host, groups: told }));
    },
  });
  stops.add("groups", () => groups.stop());
  return groups;
}

export interface GroupPorts {
  readonly rows: Pick<SharedRows, "groups" | "names" | "endpoints" | "presence" | "isShared">;
  readonly mesh: Pick<OpenMesh, "node" | "self">;
  readonly groups: Pick<GroupWatch, "local">;
}

/** The groups of the networks that this host has. */
export function groupRows(ports: GroupPorts): GroupsReply {
  const { rows, mesh, groups } = ports;
  const peerNames = new Map(mesh.node.membership.members().map(({ id, name }) => [id, name]));
  const byGroup = new Map<string, { here: string[]; peers: string[] }>();
  const entry = (network: string, group: string) => {
    const key = `${network} ${group}`;
    const known = byGroup.get(key) ?? { here: [], peers: [] };
    byGroup.set(key, known);
    return known;
  };
  const containers = containerNames(ports);
  let notTold = 0;
  const networks = groups.local();
  for (const [network, local] of networks) {
    notTold += local.leftOut;
    for (const [port, joined] of local.joins) {
      const name = containers.get(port) ?? port;
      for (const group of joined) entry(network, group).here.push(name);
    }
  }
  for (const { origin, key: network, row } of rows.groups.rows()) {
    if (origin === mesh.self || !rows.presence.entriesCount(origin)) continue;
    if (!networks.has(network) || !rows.isShared(origin, network)) continue;
    const peer = peerNames.get(origin) ?? origin.slice(0, 8);
    for (const group of row.groups) entry(network, group).peers.push(peer);
  }
  const found = [...byGroup].map(([key, { here, peers }]): GroupRow => {
    const [network = "", group = ""] = key.split(" ");
    return { network, group, containers: here.sort(), peers: peers.sort() };
  });
  return { groups: found.sort(byNetworkAndGroup), notTold };
}

/** Names of this host's containers, by their ends in the overlay namespaces. */
function containerNames({ rows, mesh }: GroupPorts): Map<string, string> {
  const names = new Map<string, string>();
  for (const { origin, key } of rows.endpoints.rows()) {
    if (origin !== mesh.self) continue;
    names.set(overlayEnd(key), rows.names.get(origin, key)?.names[0] ?? key.slice(0, 12));
  }
  return names;
}

function byNetworkAndGroup(a: GroupRow, b: GroupRow): number {
  if (a.network !== b.network) return a.network < b.network ? -1 : 1;
  return order(a.group) < order(b.group) ? -1 : 1;
}

function order(group: string): string {
  return group
    .split(".")
    .map((part) => part.padStart(3, "0"))
    .join(".");
}

/** A bridge that is being made tells nothing for a moment. */
const UNREAD_MS = 60_000;

/** Groups joined here that the others are not told of, or members that nobody can tell. */
export function groupProblems({
  groups,
  clock,
}: Pick<GroupPorts, "groups"> & { readonly clock: Clock }): HealthProblem[] {
  return [...groups.local()].flatMap(([network, { leftOut, unknownSinceMs }]) => {
    if (unknownSinceMs !== undefined && clock.nowMs() - unknownSinceMs > UNREAD_MS) {
      return [
        {
          code: "GROUPS_UNREAD",
          text: `network ${network}: its bridge does not tell who listens to multicast here`,
          next: "see 'tsweave logs --level warn'; the kernel needs CONFIG_BRIDGE_IGMP_SNOOPING",
        },
      ];
    }
    if (leftOut === 0) return [];
    return [
      {
        code: "GROUPS_FULL",
        text: `network ${network}: ${leftOut} multicast groups of this host stay on it: too many`,
        next: "see 'tsweave status groups' for the containers that join so many",
      },
    ];
  });
}
