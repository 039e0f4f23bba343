/** Tables and verdicts move kernel, names and addresses: the wires between the parts. */
import type { DnsService } from "../../dns/index.ts";
import type { IpAlloc } from "../../ipalloc/index.ts";
import type { Reconciler } from "../../overlay/index.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** Connects the parts and brings dns up to what the tables already hold. */
export function follow(
  { node, presence }: OpenMesh,
  rows: SharedRows,
  alloc: IpAlloc,
  reconciler: Reconciler,
  dns: DnsService,
): void {
  const names = (): void => dns.setRecords(rows.nameRecords());
  const subnets = (): void =>
    dns.setSubnets(
      rows.networkList().map(({ name, row }) => ({ network: name, cidr: row.subnet })),
    );
  rows.endpoints.onChange((changes) => {
    const touched = changes.flatMap(({ before, after }) => [before, after]);
    void reconciler.applyRemote(touched.flatMap((typed) => (typed ? [typed.row] : [])));
  });
  rows.names.onChange(names);
  rows.networks.onChange(subnets);
  presence.onChange = () => {
    names();
    reconciler.request("presence");
  };
  node.membership.onEvent(() => alloc.membershipChanged());
  names();
  subnets();
}
