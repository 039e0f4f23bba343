/** What `ps` shows: every endpoint of this host, Docker's and attached ones. */
import type { Attach } from "../../overlay/index.ts";
import type { AttachmentRow } from "../control/api.ts";
import type { DockerSide } from "./docker.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

/** Sorted by network and address. */
export function attachmentRows({
  docker,
  attach,
  rows,
  mesh,
}: {
  readonly docker: DockerSide | undefined;
  readonly attach: Attach;
  readonly rows: SharedRows;
  readonly mesh: OpenMesh;
}): AttachmentRow[] {
  const ofDocker = (docker?.docker.endpoints() ?? []).map((endpoint): AttachmentRow => {
    const { id, network, ip, mac } = endpoint;
    const names = rows.names.get(mesh.self, id)?.names ?? [];
    const target = names[0] ?? id.slice(0, 12);
    const none = { interface: null, gateway: null, resolver: null };
    return { id, kind: "docker", target, network, ip, mac, names, ...none };
  });
  const others = attach.list().map((endpoint): AttachmentRow => {
    const { id, kind, target, network, ip, mac, names, device, gateway, resolver } = endpoint;
    return { id, kind, target, network, ip, mac, names, interface: device, gateway, resolver };
  });
  const order = ({ network, ip }: AttachmentRow): string =>
    `${network} ${ip
      .split(".")
      .map((part) => part.padStart(3, "0"))
      .join(".")}`;
  return [...ofDocker, ...others].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
