/** Attached endpoints as people read them. */
import type { AttachedEndpoint } from "../../overlay/index.ts";
import type { AttachmentRow, NamespaceRow } from "../control/api.ts";
import { plain, type Style } from "./style.ts";
import { table } from "./table.ts";

/** What a person should know beside the address, a line each. */
export function attachedNotes(endpoint: AttachedEndpoint): string {
  const { device, target, network, cidr, names, gateway, resolver } = endpoint;
  const lines = [`${device} in ${target} is ${cidr} on network ${network}`];
  if (names.length > 0) lines.push(`named ${names.join(", ")} on all hosts`);
  if (gateway !== null) lines.push(`default route through tsweave_gw (${gateway})`);
  if (resolver === "own") {
    const name = /^\/run\/netns\/([^/]+)$/.exec(target)?.[1];
    const file = name === undefined ? "its resolv.conf" : `/etc/netns/${name}/resolv.conf`;
    lines.push(`names are answered on 127.0.0.11: write 'nameserver 127.0.0.11' into ${file}`);
  }
  return `${lines.join("\n")}\n`;
}

export function detachedText(endpoints: readonly AttachedEndpoint[]): string {
  return endpoints
    .map(({ ip, target, network }) => `${ip} on network ${network} taken from ${target}\n`)
    .join("");
}

export function psTable(endpoints: readonly AttachmentRow[], style: Style = plain): string {
  return table(
    ["NETWORK", "IP", "KIND", "TARGET", "INTERFACE", "MAC", "GATEWAY", "NAMES", "ID"],
    endpoints.map((endpoint) => [
      endpoint.network,
      endpoint.ip,
      endpoint.kind,
      endpoint.target,
      endpoint.interface ?? "",
      endpoint.mac,
      endpoint.gateway ?? "",
      endpoint.names.join(","),
      endpoint.id.slice(0, 12),
    ]),
    style,
  );
}

export function namespacesTable(rows: readonly NamespaceRow[], style: Style = plain): string {
  const cells = rows.map(({ network, namespace }) => [namespace, network]);
  return table(["NAMESPACE", "NETWORK"], cells, style);
}
