/** The underlay of this host as the daemon follows it, and the networks that follow it. */
import { isIPv6 } from "node:net";
import type { Log, Member } from "../../mesh/index.ts";
import {
  HOST_KEY,
  type Ledger,
  type NetworkPlan,
  netnsName,
  overlayMtu,
  type Reconciler,
  readRoutes,
  readUnderlay,
  setOffload,
  TunnelProbe,
  watchRoutes,
} from "../../overlay/index.ts";
import type { HealthProblem } from "../control/api.ts";
import type { Sides } from "./attach.ts";
import type { Base } from "./base.ts";
import type { OpenMesh } from "./mesh.ts";
import { MtuChange } from "./mtu-change.ts";
import { OwnAddress } from "./own-address.ts";
import { mtuTo } from "./peer-mtu.ts";
import type { SharedRows } from "./shared-rows.ts";
import { Tunnels } from "./tunnels.ts";
import { Underlay } from "./underlay.ts";
import { offloadProblems, tunnelProblems, vxlanPortProblems } from "./underlay-problems.ts";

/** What is known of the underlay, and of the tunnels through it. */
export interface UnderlaySide {
  readonly underlay: Underlay;
  readonly tunnels: Tunnels;
  readonly problems: () => HealthProblem[];
  /** Largest packet of a container that a peer's tunnel takes. */
  readonly mtuTo: (member: Member) => number | null;
  /** Follows links, routes, members and paths from now on. */
  readonly start: () => void;
}

interface Make {
  readonly base: Base;
  readonly mesh: OpenMesh;
  readonly rows: SharedRows;
  readonly sides: Sides;
  readonly log: Log;
  readonly family: 4 | 6;
}

/**
 * Looks for the first time; `moved` hears of another address.
 * @throws TsweaveError CONFIG when the underlay is too small.
 */
export async function openUnderlay(
  base: Base,
  mesh: OpenMesh,
  rows: SharedRows,
  sides: Sides,
  moved: () => void,
): Promise<UnderlaySide> {
  const { config, clock, stops, advertise, peers, underlayMtuBytes } = base;
  const { vxlanPort, mtuBytes } = config;
  const family = isIPv6(advertise.host) ? 6 : 4;
  if (mtuBytes === undefined) overlayMtu(underlayMtuBytes, family);
  const log = base.log.child({ part: "underlay" });
  const { node, self } = mesh;
  const members = () => node.membership.members();
  const { tunnels, probe } = openTunnels({ base, mesh, rows, sides, log, family }, () => underlay);
  const address = new OwnAddress({
    ...{ config, mesh, rows, peers, log },
    moved: (now) => {
      probe.relocate(now);
      tunnels.doubt();
      moved();
    },
  });
  await tunnels.open();
  const underlay: Underlay = new Underlay(
    {
      ...{ tables: node.tables, rows, members, clock, log },
      view: async (vteps) => {
        await address.check();
        const routes = await readRoutes(vteps);
        return { ...(await readUnderlay(mesh.address().host)), routes };
      },
      proved: () => tunnels.proved(),
    },
    { self, vxlanPort, underlay: family, mtuBytes, docker: config.docker },
  );
  await underlay.open();
  underlay.onNews = () => tunnels.doubt();
  stops.add("underlay", () => underlay.stop());
  return {
    underlay,
    tunnels,
    problems: () => [
      ...vxlanPortProblems(members(), underlay.offers(), vxlanPort),
      ...tunnelProblems(members(), tunnels.findings(), vxlanPort),
      ...address.problems(),
      ...offloadProblems(tunnels.offload, underlay.device),
    ],
    mtuTo: (member) => mtuTo(member, tunnels.findings(), underlay.least().row.overlayMtuBytes),
    start: () => {
      stops.add("routes", watchRoutes(underlay.hint, log));
      node.membership.onEvent(underlay.hint);
      underlay.start();
      tunnels.start();
    },
  };
}

function openTunnels(
  { base, mesh, rows, sides, log, family }: Make,
  underlay: () => Underlay,
): { readonly tunnels: Tunnels; readonly probe: TunnelProbe } {
  const { clock, stops, hosts, config } = base;
  const { node, self, store } = mesh;
  const { vxlanPort } = config;
  const probe = new TunnelProbe({ peer: self, hosts, vxlanPort, underlay: family }, log);
  const networks = () => [
    ...(sides.docker?.docker.networks() ?? []),
    ...(sides.attach?.networks() ?? []),
  ];
  const tunnels = new Tunnels(
    {
      ...{ clock, log, store, probe },
      members: () => node.membership.members(),
      hasTunnel: ({ id }: Member) => rows.hosts.get(id, HOST_KEY)?.vxlanPort === vxlanPort,
      fullBytes: () => underlay().fullBytes(),
      networksOffload: async (isOn) => {
        for (const network of networks()) {
          await setOffload(`/run/netns/${netnsName(network)}`, isOn);
        }
      },
      changed: () => underlay().hint(),
    },
    family,
  );
  stops.add("probe network", () => probe.remove());
  stops.add("tunnels", () => tunnels.stop());
  return { tunnels, probe };
}

/** Networks as the underlay is, from now on. To be called before the ledger's are placed anew. */
export function followUnderlay(
  { clock, log }: Base,
  { underlay }: UnderlaySide,
  ports: {
    readonly ledger: Ledger;
    readonly plan: NetworkPlan;
    readonly sides: Sides;
    readonly reconciler: Reconciler;
  },
): void {
  const change = new MtuChange({ ...ports, clock, log: log.child({ part: "underlay" }) });
  underlay.onChange = () => void change.apply();
}
