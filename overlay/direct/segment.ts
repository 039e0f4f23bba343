/**
 * JSON of `ip` → how the host reaches its peers: over which Ethernet, to which MAC. Pure; the
 * command is run by io/direct-host.ts.
 *
 * Law: what is not plainly a neighbour on an Ethernet segment is an obstacle with its reason.
 */
import { isMac } from "../address.ts";
import type { Hop, Segment } from "./model.ts";

/** Lines for `ip -j -d -force -batch -`: each prints one JSON array on one line. */
export function lookLines(vteps: readonly string[]): string[] {
  return ["link show", "neigh show", ...vteps.map((vtep) => `route get ${vtep}`)];
}

/** A neighbour that the kernel has forgotten, or not asked for yet. */
export const MAC_UNKNOWN = "its MAC is not known yet";

type Fields = Readonly<Record<string, unknown>>;

/** Devices that are tunnels themselves: nothing is won, or the MAC is not the host's. */
const TUNNELS = /^(vxlan|geneve|gretap|ip6gretap|erspan|ip6erspan|tun|wireguard)$/;

/** Reads what the lines printed; a row that does not read is left out. */
export function readSegment(text: string, vteps: readonly string[]): Segment {
  const rows = text.split("\n").flatMap(rowsOf);
  const links = new Map(rows.flatMap((row) => entry(row.ifname, row)));
  const routes = new Map(rows.flatMap((row) => ("prefsrc" in row ? entry(row.dst, row) : [])));
  const devices = new Map<string, string>();
  for (const [name, { address }] of links) {
    if (typeof address === "string" && isMac(address)) devices.set(name, address);
  }
  const neighbours = rows.filter(({ lladdr }) => typeof lladdr === "string");
  const hops = new Map<string, Hop>();
  for (const vtep of vteps) hops.set(vtep, hopTo(vtep, routes.get(vtep), links, neighbours));
  return { hops, devices };
}

function hopTo(
  vtep: string,
  route: Fields | undefined,
  links: ReadonlyMap<string, Fields>,
  neighbours: readonly Fields[],
): Hop {
  if (route === undefined) return { obstacle: "no route leads there" };
  const via = route.gateway ?? route.via;
  if (via !== undefined) return { obstacle: `it is behind the router ${textOf(via)}` };
  const device = typeof route.dev === "string" ? route.dev : "";
  const link = links.get(device) ?? {};
  const obstacle = deviceObstacle(device, link);
  if (obstacle !== undefined) return { obstacle };
  const known = neighbours.find(({ dst, dev }) => dst === vtep && dev === device);
  const mac = known?.lladdr;
  if (typeof mac !== "string" || !isMac(mac)) return { obstacle: MAC_UNKNOWN };
  const deviceMac = String(link.address);
  return { device, deviceMac, deviceMtuBytes: Number(link.mtu), mac };
}

function deviceObstacle(device: string, link: Fields): string | undefined {
  const info = (link.linkinfo ?? {}) as Fields;
  const kind = typeof info.info_kind === "string" ? info.info_kind : "";
  const flags = Array.isArray(link.flags) ? link.flags : [];
  if (flags.includes("LOOPBACK")) return "it is this host";
  const isEthernet = link.link_type === "ether" && !flags.includes("NOARP");
  if (!isEthernet || TUNNELS.test(kind)) return `${device} is not an Ethernet segment`;
  if (typeof link.address !== "string" || !isMac(link.address)) return `${device} has no MAC`;
  return /^[\w.:-]{1,15}$/.test(device) ? undefined : `${device} has a name that nft does not take`;
}

function rowsOf(line: string): Fields[] {
  if (!line.startsWith("[")) return [];
  try {
    const rows: unknown = JSON.parse(line);
    return Array.isArray(rows) ? rows.filter((row) => typeof row === "object" && row !== null) : [];
  } catch {
    return []; // The tool's own message between the lines: that peer has no route, then.
  }
}

function entry(key: unknown, row: Fields): [string, Fields][] {
  return typeof key === "string" ? [[key, row]] : [];
}

function textOf(via: unknown): string {
  if (typeof via === "string") return via;
  return String((via as Fields).host ?? "another");
}

/** The newer look, with MACs that only the older one knows: probes tell whether they still hold. */
export function remembering(newer: Segment, older: Segment | undefined): Segment {
  const hops = new Map(newer.hops);
  for (const [vtep, hop] of newer.hops) {
    const known = older?.hops.get(vtep);
    const isForgotten = "obstacle" in hop && hop.obstacle === MAC_UNKNOWN;
    if (isForgotten && known !== undefined) hops.set(vtep, known);
  }
  return { ...newer, hops };
}
