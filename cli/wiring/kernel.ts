/** The reconciler and the members of groups on this host's kernel, fed from ledger and tables. */
import {
  type GroupWatch,
  type HealedNetwork,
  LinuxKernel,
  Reconciler,
} from "../../overlay/index.ts";
import type { Sides } from "./attach.ts";
import type { Base } from "./base.ts";
import { openGroups } from "./groups.ts";
import { keepUntilProved } from "./keep.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** `sides` is read at each pass: they come into being after the reconciler. */
export function openReconciler(
  base: Base,
  { node, self, address }: OpenMesh,
  rows: SharedRows,
  sides: Sides,
  healed: (network: HealedNetwork) => void,
): { readonly reconciler: Reconciler; readonly groups: GroupWatch } {
  const { config, clock, log, stops, tools } = base;
  const part = log.child({ part: "kernel" });
  const kernel = new LinuxKernel({ log: part, clock, tools });
  stops.add("monitors", () => kernel.close());
  const locals = () => [
    ...(sides.docker?.docker.endpoints() ?? []),
    ...(sides.attach?.endpoints() ?? []),
  ];
  const keep = keepUntilProved(
    {
      clock,
      presence: rows.presence,
      members: () => node.membership.members(),
      held: (peer) => node.tables.held(peer),
      isForgotten: (peer) => node.tables.isForgotten(peer),
      ownEndpointsKnown: () => sides.docker?.docker.status().lastSyncWallMs !== null,
      hasEndpoint: (prefix) => locals().some(({ id }) => id.startsWith(prefix)),
    },
    {
      get vtep() {
        return address().host;
      },
    },
  );
  const networks = () => [
    ...(sides.docker?.docker.networks() ?? []),
    ...(sides.attach?.networks() ?? []),
  ];
  const input = () => ({
    networks: networks(),
    locals: locals(),
    get remotes() {
      return rows.remotes();
    },
    get groups() {
      return rows.remoteGroups();
    },
    near: (addresses: Iterable<string>) => rows.remotes(rows.index.near(addresses)),
    options: {
      vxlanPort: config.vxlanPort,
      self: { peer: self, vtep: address().host },
      ...(sides.direct && { isDirect: sides.direct.isDirect }),
    },
    keep,
  });
  const reconciler: Reconciler = new Reconciler({ kernel, clock, log: part, healed }, () => {
    keep.look(() => reconciler.request("rows of a peer are complete"));
    return input();
  });
  return { reconciler, groups: openGroups(base, { node, address }, kernel, networks) };
}
