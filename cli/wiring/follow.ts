/** Tables and verdicts move kernel, names and addresses: the wires between the parts. */
import type { DnsService } from "../../dns/index.ts";
import type { IpAlloc } from "../../ipalloc/index.ts";
import type { CharterBook, Reconciler } from "../../overlay/index.ts";
import { AnsweredNames } from "./answered-names.ts";
import type { Sides } from "./attach.ts";
import type { Base } from "./base.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** Connects the parts and brings dns up to what the tables already hold. */
export function follow(
  { clock, stops }: Pick<Base, "clock" | "stops">,
  { node, presence, self }: OpenMesh,
  rows: SharedRows,
  alloc: IpAlloc,
  reconciler: Reconciler,
  dns: DnsService,
): void {
  const members = () => node.membership.members();
  const names = new AnsweredNames({ rows, dns, members, clock }, self);
  stops.add("answered names", () => names.close());
  const subnets = (): void =>
    dns.setSubnets(
      rows.networkList().map(({ name, row }) => ({ network: name, cidr: row.subnet })),
    );
  rows.endpoints.onChange((changes) => {
    const touched = changes.flatMap(({ before, after }) => [before, after]);
    return reconciler.applyRemote(touched.flatMap((typed) => (typed ? [typed.row] : [])));
  });
  rows.groups.onChange(() => reconciler.applyGroups());
  rows.networks.onChange(() => {
    subnets();
    reconciler.request("networks of the mesh");
  });
  presence.onChange = () => reconciler.request("presence");
  node.membership.onEvent(({ member }) => {
    names.peerChanged(member);
    alloc.membershipChanged();
  });
  subnets();
}

/** Every host writes a row for a new network, at about the same time. */
const ROWS_SETTLE_MS = 200;

/** Decisions on networks, and whether anybody still uses one, move this engine's networks. */
export function followNetworks(
  { node }: OpenMesh,
  rows: SharedRows,
  charters: CharterBook,
  sides: Sides,
): void {
  charters.onChange = () => sides.docker?.maker.request();
  rows.networks.onChange(() => sides.docker?.maker.request(ROWS_SETTLE_MS));
  node.membership.onEvent(() => charters.membershipChanged());
}
