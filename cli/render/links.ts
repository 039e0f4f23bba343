/** Devices of many namespaces, matched to the other ends of their veth pairs. Pure. */
import { TsweaveError } from "../../mesh/index.ts";
import { plain, type Style } from "./style.ts";
import { table } from "./table.ts";

export interface LinkRow {
  /** `host`, a name under /run/netns, or `docker:` and a sandbox. */
  readonly namespace: string;
  readonly index: number;
  readonly device: string;
  /** `veth`, `bridge`, `vxlan`, …; empty for a device without a kind. */
  readonly kind: string;
  /** What it is plugged into; empty: nothing. */
  readonly master: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Number of the other end, in its own namespace; null without one. */
  readonly peerIndex: number | null;
  /** `namespace device` of the other end; null where it cannot be told. */
  readonly peer: string | null;
}

/** Reads `ip -j -d link show`. @throws TsweaveError COMMAND_FAILED. */
export function readLinks(namespace: string, json: string): LinkRow[] {
  let rows: unknown;
  try {
    rows = JSON.parse(json.trim() === "" ? "[]" : json);
  } catch (cause) {
    throw new TsweaveError("COMMAND_FAILED", "ip link show: no JSON", { cause });
  }
  return (Array.isArray(rows) ? rows : []).flatMap((row: Record<string, unknown>) => {
    const { ifindex, ifname, linkinfo, master, flags, mtu, address, link_index: peer } = row;
    if (typeof ifindex !== "number" || typeof ifname !== "string") return [];
    const info = (linkinfo ?? {}) as Record<string, unknown>;
    const kind = typeof info.info_kind === "string" ? info.info_kind : "";
    const own = {
      namespace,
      index: ifindex,
      device: ifname,
      kind,
      master: typeof master === "string" ? master : "",
      up: Array.isArray(flags) && flags.includes("UP"),
      mtu: typeof mtu === "number" ? mtu : 0,
      mac: typeof address === "string" ? address : "",
    };
    return [{ ...own, peerIndex: typeof peer === "number" ? peer : null, peer: null }];
  });
}

/** Names the other end of each pair where only one device can be it. */
export function withPeers(links: readonly LinkRow[]): LinkRow[] {
  const byPair = new Map<string, LinkRow[]>();
  for (const link of links) {
    if (link.kind !== "veth" || link.peerIndex === null) continue;
    const key = `${link.index} ${link.peerIndex}`;
    byPair.set(key, [...(byPair.get(key) ?? []), link]);
  }
  return links.map((link) => {
    if (link.kind !== "veth") return link;
    const [found, ...more] = byPair.get(`${link.peerIndex} ${link.index}`) ?? [];
    if (found === undefined || more.length > 0) return link;
    const twins = byPair.get(`${link.index} ${link.peerIndex}`) ?? [];
    return twins.length > 1 ? link : { ...link, peer: `${found.namespace} ${found.device}` };
  });
}

export function linksTable(links: readonly LinkRow[], style: Style = plain): string {
  return table(
    ["NAMESPACE", "INDEX", "DEVICE", "KIND", "MASTER", "STATE", "MTU", "LEADS TO"],
    links.map((link) => [
      link.namespace,
      String(link.index),
      link.device,
      link.kind,
      link.master,
      link.up ? "up" : "down",
      String(link.mtu),
      link.peer ?? (link.peerIndex === null ? "" : `@if${link.peerIndex}`),
    ]),
    style,
  );
}
