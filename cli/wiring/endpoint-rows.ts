/** Endpoint rows as `status endpoints` shows them, and those of them that problems are about. */
import type { TypedRow } from "../../mesh/index.ts";
import type { Attach, Reconciler, EndpointRow as TableRow } from "../../overlay/index.ts";
import type { EndpointRow } from "../control/api.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

interface EndpointPorts {
  readonly rows: SharedRows;
  readonly mesh: Pick<OpenMesh, "node" | "self">;
  readonly reconciler: Pick<Reconciler, "status">;
  readonly attach: Pick<Attach, "list">;
}

/** All of the mesh, or those given, by network, name and address. */
export function endpointRows(
  ports: EndpointPorts,
  among: Iterable<TypedRow<TableRow>> = ports.rows.endpoints.rows(),
): EndpointRow[] {
  const { rows, mesh, reconciler, attach } = ports;
  const members = new Map(mesh.node.membership.members().map((member) => [member.id, member]));
  const unplugged = new Set(reconciler.status().unplugged);
  // Of these the attach machinery itself says what is wrong.
  for (const { id } of attach.list()) unplugged.delete(id);
  const found: EndpointRow[] = [];
  for (const { origin, key, row } of among) {
    const [name = "", ...aliases] = rows.names.get(origin, key)?.names ?? [];
    const member = members.get(origin);
    const local = origin === mesh.self;
    const state = local && unplugged.has(key) ? "unplugged" : (member?.state ?? "dead");
    const { network, ip, mac, vtep } = row;
    const peer = member?.name ?? origin;
    found.push({ network, id: key, name, aliases, ip, mac, peer, vtep, local, state });
  }
  return found.sort(byNetworkAndName);
}

/**
 * The rows that a problem may be about: those that share an address, those with one of `ips`, and
 * those without a veth pair. Of such there are few, of others ten thousand.
 */
export function suspectRows(ports: EndpointPorts, ips: readonly string[]): EndpointRow[] {
  const { rows, mesh, reconciler } = ports;
  const cut = reconciler.status().unplugged.map((key) => rows.endpoints.get(mesh.self, key)?.ip);
  const named = [...ips, ...cut.flatMap((ip) => ip ?? [])];
  const typed = new Set([...rows.index.shared(), ...rows.index.near(named)]);
  return endpointRows(ports, typed);
}

/** A total order, so that what is said of a few rows is what would be said of all. */
const ORDER = ["network", "name", "ip", "peer", "id"] as const;

function byNetworkAndName(a: EndpointRow, b: EndpointRow): number {
  for (const field of ORDER) if (a[field] !== b[field]) return a[field] < b[field] ? -1 : 1;
  return 0;
}
