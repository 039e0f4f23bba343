/**
 * JSON of `ip` and `bridge` → an observation. Pure; the commands are run by io/linux-kernel.ts.
 *
 * Law: the kernel's answer is the only truth about the kernel; what cannot be read is an error,
 * never taken for "nothing there" (that would rebuild a network that works).
 */
import { type Fields, jsonRows } from "./json-rows.ts";
import { FILTER_KEYS } from "./render.ts";
import { type Sliced, whole } from "./slices.ts";
import type { ObservedForward, ObservedLink, ObservedNetwork, ObservedVxlan } from "./state.ts";
import { DIRECT, floodKey, isFlood, VXLAN } from "./state.ts";

/** Lines for `ip -j -d -force -batch -`: each prints one JSON array on one line. */
export const OBSERVE_LINES = ["addr show", `neigh show dev ${VXLAN} nud permanent`] as const;

export interface RawObservation {
  /** Output of OBSERVE_LINES: one or, without vxlan0, only the first array. */
  readonly ip: string;
  /** Output of `bridge -j fdb show`. */
  readonly fdb: string;
  /** `key=value` lines of the FILTER_KEYS that exist. */
  readonly filters: string;
}

/** `observationInSlices` in one go. */
export function parseObservation(netns: string, raw: RawObservation): ObservedNetwork {
  return whole(observationInSlices(netns, raw));
}

/** Reads what the tools printed. Throws `COMMAND_FAILED` when it is not what they print. */
export function* observationInSlices(netns: string, raw: RawObservation): Sliced<ObservedNetwork> {
  const [linkText = "", neighText = "[]"] = raw.ip.split("\n").filter((line) => line !== "");
  const links = new Map<string, ObservedLink>();
  yield* jsonRows(linkText, "ip addr show", (fields) => {
    const link = readLink(fields);
    links.set(link.name, link);
  });
  const neighbours = new Map<string, string>();
  yield* jsonRows(neighText, "ip neigh show", ({ dst, lladdr }) => {
    if (typeof dst === "string" && typeof lladdr === "string") neighbours.set(dst, lladdr);
  });
  const tables: FdbTables = { forwards: new Map(), floods: new Map(), steers: new Map() };
  const fdb = raw.fdb.trim() === "" ? "[]" : raw.fdb;
  yield* jsonRows(fdb, "bridge fdb show", (fields) => readForward(fields, tables));
  const filtered = FILTER_KEYS.some((key) => raw.filters.includes(`${key}=1`));
  return { netns, state: "present", filtered, links, neighbours, ...tables };
}

function readLink(fields: Fields): ObservedLink {
  const info = asFields(fields.linkinfo);
  const data = asFields(info.info_data);
  const slave = asFields(info.info_slave_data);
  const kind = asText(info.info_kind);
  return {
    name: asText(fields.ifname),
    kind,
    up: Array.isArray(fields.flags) && fields.flags.includes("UP"),
    mtuBytes: asNumber(fields.mtu),
    mac: asText(fields.address),
    master: typeof fields.master === "string" ? fields.master : undefined,
    cidrs: readCidrs(fields.addr_info),
    stp: kind === "bridge" && data.stp_state !== 0,
    snoops: kind === "bridge" ? snoops(data) : undefined,
    portLearning: slave.learning === true,
    portAllGroups: allGroups(slave),
    vxlan: kind === "vxlan" ? readVxlan(data, fields.link_netnsid !== undefined) : undefined,
  };
}

/** A kernel without IGMP snooping shows none of these. */
function snoops({ mcast_snooping: snooping, mcast_querier: querier }: Fields): boolean | undefined {
  if (snooping === undefined || querier === undefined) return undefined;
  return snooping === 1 && querier === 1;
}

function allGroups({ multicast_router: router }: Fields): boolean | undefined {
  return router === undefined ? undefined : router === 2;
}

function readVxlan(data: Fields, foreignSocket: boolean): ObservedVxlan {
  return {
    vni: asNumber(data.id),
    port: asNumber(data.port),
    learning: data.learning !== false,
    proxy: data.proxy === true,
    l2miss: data.l2miss === true,
    l3miss: data.l3miss === true,
    foreignSocket,
    underlay: data.udp_zero_csum6_rx === true ? 6 : 4,
  };
}

function readCidrs(list: unknown): string[] {
  const cidrs: string[] = [];
  for (const entry of Array.isArray(list) ? list : []) {
    const { local, prefixlen, scope } = asFields(entry);
    if (scope !== "link") cidrs.push(`${asText(local)}/${asNumber(prefixlen)}`);
  }
  return cidrs;
}

interface FdbTables {
  readonly forwards: Map<string, ObservedForward>;
  readonly floods: Map<string, ObservedForward>;
  readonly steers: Map<string, string>;
}

function readForward(row: Fields, { forwards, floods, steers }: FdbTables): void {
  const mac = asText(row.mac);
  if (row.ifname === DIRECT) {
    if (row.state === "static") steers.set(mac, "direct");
  } else if (row.ifname !== undefined && row.ifname !== VXLAN) {
    // Of a container's port or of br0 itself.
  } else if (typeof row.master === "string") {
    steers.set(mac, asText(row.state) || "learned");
  } else if (typeof row.dst === "string") {
    const odd = row.port !== undefined || row.vni !== undefined || row.via !== undefined;
    const forward = { mac, vtep: row.dst, plain: row.state === "permanent" && !odd };
    if (isFlood(mac) || forwards.has(mac)) floods.set(floodKey(mac, row.dst), forward);
    else forwards.set(mac, forward);
  }
}

function asFields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function asNumber(value: unknown): number {
  return typeof value === "number" ? value : -1;
}
