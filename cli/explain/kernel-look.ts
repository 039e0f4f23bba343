/** What this host's kernel has for the way from A to B: devices, table entries, routes. */
import { existsSync } from "node:fs";
import { messageOf } from "../../mesh/index.ts";
import { overlayEnd } from "../../overlay/index.ts";
import { isRecord } from "../control/error-body.ts";
import { tool } from "../doctor/host.ts";
import type { EntryFacts, OverlayFacts, PlugFacts, TargetFacts } from "./facts.ts";
import { jsonRows, type LinkLook, lookAtLinks } from "./link-look.ts";

/** Where a namespace is entered; undefined: this process's own. */
export type Place = string | undefined;

/** The overlay namespace's devices, and the ports of some endpoints by their id. */
export async function lookAtOverlay(
  netns: string | undefined,
  endpointIds: readonly string[],
  wanted: Pick<OverlayFacts, "vni" | "vxlanPort">,
): Promise<{ overlay: OverlayFacts; ports: ReadonlyMap<string, LinkLook> }> {
  const exists = netns !== undefined && existsSync(`/run/netns/${netns}`);
  const devices = ["br0", "vxlan0", ...endpointIds.map(overlayEnd)];
  let links: ReadonlyMap<string, LinkLook> = new Map();
  let error: string | null = null;
  try {
    if (exists) links = await lookAtLinks(netns, devices);
  } catch (failure) {
    error = messageOf(failure);
  }
  const bridge = links.get("br0") ?? null;
  const vxlan = links.get("vxlan0") ?? null;
  const ports = new Map<string, LinkLook>();
  for (const id of endpointIds) {
    const link = links.get(overlayEnd(id));
    if (link !== undefined) ports.set(id, link);
  }
  return { overlay: { netns: netns ?? null, exists, error, bridge, vxlan, ...wanted }, ports };
}

/** The three entries for an endpoint of another host. */
export async function lookAtEntries(
  netns: string,
  { ip }: TargetFacts,
  { mac, vtep }: { readonly mac: string; readonly vtep: string },
): Promise<EntryFacts> {
  const [neigh, fdb] = await Promise.all([
    tool(["ip", "-n", netns, "-j", "neigh", "show", "to", ip, "dev", "vxlan0"]),
    tool(["bridge", "-n", netns, "-j", "fdb", "show"]),
  ]);
  // Without vxlan0 there are none, which the overlay step says.
  const neighbours = neigh.code === 0 ? jsonRows(neigh.out) : [];
  const rows = fdb.code === 0 ? jsonRows(fdb.out).filter((row) => row.mac === mac) : [];
  const forward = rows.find((row) => typeof row.dst === "string");
  const steer = rows.find((row) => row.master === "br0");
  const isDirect = steer?.ifname === "gw0" && steer.state === "static";
  return {
    neighbour: { wanted: mac, found: textOf(neighbours[0]?.lladdr) },
    forward: { wanted: vtep, found: textOf(forward?.dst) },
    steer: isDirect
      ? { wanted: "direct", found: "direct" }
      : { wanted: "static", found: textOf(steer?.state) },
  };
}

/** A's device with its address, and where its route to B leads. Never rejects. */
export async function lookInside(
  place: Place,
  ip: string,
  target: string | undefined,
): Promise<Pick<PlugFacts, "device" | "route" | "error">> {
  const unseen = { device: undefined, route: undefined };
  const addresses = await tool(enter(place, ["ip", "-j", "addr", "show"]));
  if (addresses.code !== 0) {
    return { ...unseen, error: addresses.err.split("\n")[0] || "it could not be entered" };
  }
  const link = jsonRows(addresses.out).find(({ addr_info: list }) =>
    (Array.isArray(list) ? list : []).some((one) => isRecord(one) && one.local === ip),
  );
  const flags: readonly unknown[] = Array.isArray(link?.flags) ? link.flags : [];
  const name = textOf(link?.ifname);
  const up = flags.includes("UP") && !flags.includes("NO-CARRIER");
  const device = name === null ? null : { name, up };
  if (target === undefined) return { device, route: undefined, error: null };
  const routes = await tool(enter(place, ["ip", "-j", "route", "get", target]));
  const route = routes.code === 0 ? textOf(jsonRows(routes.out)[0]?.dev) : null;
  return { device, route, error: null };
}

/** The words of a command inside a namespace. */
export function enter(place: Place, argv: readonly string[]): string[] {
  return place === undefined ? [...argv] : ["nsenter", `--net=${place}`, "--", ...argv];
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
