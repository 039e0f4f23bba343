/**
 * Direct paths fed from the tables, where launch was given --direct; else what a former run left of
 * them is taken away without a loss.
 */
import { hostsOf, type PeerId } from "../../mesh/index.ts";
import {
  type CharterBook,
  DIRECT_LABEL,
  DirectPaths,
  type DirectScene,
  DRAIN_MS,
  endProbes,
  hasDirect,
  LinuxDirectHost,
  netnsName,
  openProbeSocket,
  type Reconciler,
  removeDirect,
  wantedOf,
} from "../../overlay/index.ts";
import type { Sides } from "./attach.ts";
import type { Base } from "./base.ts";
import type { OpenMesh } from "./mesh.ts";
import { type SharedRows, vtepFrom } from "./shared-rows.ts";

interface DirectParts {
  readonly mesh: OpenMesh;
  readonly rows: SharedRows;
  readonly charters: CharterBook;
  readonly reconciler: Reconciler;
}

/** Opens them; undefined without --direct. They begin with `startDirect`. */
export function openDirect(base: Base, parts: DirectParts, sides: Sides): DirectPaths | undefined {
  if (!base.config.direct) return undefined;
  const { clock, random, log } = base;
  const { rows, mesh, reconciler } = parts;
  const direct = new DirectPaths({
    ...{ clock, random, log: log.child({ part: "direct" }) },
    host: new LinuxDirectHost(),
    openSocket: openProbeSocket,
    scene: () => sceneOf(parts, sides),
    steer: (changes) => reconciler.applyRemote(changes),
  });
  rows.endpoints.onChange(() => direct.changed());
  rows.networks.onChange(() => direct.changed());
  mesh.node.membership.onEvent(() => direct.changed());
  return direct;
}

/** Begins once the first pass has steered everything into the tunnels, and so after each start. */
export async function startDirect(
  base: Base,
  reconciler: Reconciler,
  direct: DirectPaths | undefined,
): Promise<void> {
  const { clock, log, stops } = base;
  if (direct !== undefined) {
    stops.add("direct paths", () => direct.stop());
    await reconciler.flush();
    return await direct.start();
  }
  if (!(await hasDirect())) return;
  await reconciler.flush();
  await endProbes();
  log.info({}, "direct paths are given up: without --direct everything goes through the tunnels");
  const cancel = clock.timer("former direct paths", DRAIN_MS, () => {
    removeDirect().catch((error: unknown) => log.warn({ error: String(error) }, "direct paths"));
  });
  stops.add("former direct paths", cancel);
}

function sceneOf({ mesh, rows, charters }: DirectParts, sides: Sides): DirectScene {
  const networks = [
    ...(sides.docker?.docker.networks() ?? []),
    ...(sides.attach?.networks() ?? []),
  ];
  const locals = [
    ...(sides.docker?.docker.endpoints() ?? []),
    ...(sides.attach?.endpoints() ?? []),
  ];
  return {
    networks: networks.map((network) => ({
      ...network,
      netns: netnsName(network),
      isRefused: isRefused(charters, network.name),
    })),
    known: rows.networkList().map(({ name, row }) => ({ name, subnet: row.subnet })),
    peers: peersOf(mesh, rows.vteps()),
    inUse: new Set(locals.map(({ network }) => network)),
    get remotes() {
      return rows.remotes();
    },
  };
}

function isRefused(charters: CharterBook, name: string): boolean {
  const labels = wantedOf(charters.charter(name))?.labels ?? [];
  return labels.some(([key, value]) => key === DIRECT_LABEL && value === "off");
}

function peersOf({ node }: OpenMesh, written: ReadonlyMap<PeerId, string>): DirectScene["peers"] {
  const others = node.membership.members().filter(({ self, state }) => !self && state !== "left");
  return others.map((member) => {
    const { id, name, incarnation: life } = member;
    return { id, name, life, vtep: vtepFrom(member, written.get(id) ?? hostsOf(member)[0] ?? "") };
  });
}
