/** The reconciler on this host's kernel, fed from the ledger and the tables. */
import { type HealedNetwork, LinuxKernel, Reconciler } from "../../overlay/index.ts";
import type { Sides } from "./attach.ts";
import type { Base } from "./base.ts";
import { keepUntilProved } from "./keep.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** `sides` is read at each pass: they come into being after the reconciler. */
export function openReconciler(
  { config, clock, log, stops, advertise }: Base,
  { node, self }: OpenMesh,
  rows: SharedRows,
  sides: Sides,
  healed: (network: HealedNetwork) => void,
): Reconciler {
  const part = log.child({ part: "kernel" });
  const kernel = new LinuxKernel({ log: part });
  stops.add("monitors", () => kernel.close());
  const locals = () => [
    ...(sides.docker?.docker.endpoints() ?? []),
    ...(sides.attach?.endpoints() ?? []),
  ];
  const keep = keepUntilProved(
    {
      clock,
      presence: rows.heirs,
      members: () => node.membership.members(),
      held: (peer) => node.tables.held(peer),
      ownEndpointsKnown: () => sides.docker?.docker.status().lastSyncWallMs !== null,
      hasEndpoint: (prefix) => locals().some(({ id }) => id.startsWith(prefix)),
    },
    { vtep: advertise.host },
  );
  const input = () => ({
    networks: [...(sides.docker?.docker.networks() ?? []), ...(sides.attach?.networks() ?? [])],
    locals: locals(),
    get remotes() {
      return rows.remotes();
    },
    near: (addresses: Iterable<string>) => rows.remotes(rows.index.near(addresses)),
    options: { vxlanPort: config.vxlanPort, self: { peer: self, vtep: advertise.host } },
    keep,
  });
  const reconciler: Reconciler = new Reconciler({ kernel, clock, log: part, healed }, () => {
    keep.look(() => reconciler.request("rows of a peer are complete"));
    return input();
  });
  return reconciler;
}
