/**
 * Devices of an overlay namespace as the kernel has them now, with their counters.
 *
 * Law: it only looks. What is not there is missing from the answer; a namespace that is there and
 * cannot be looked into is an error, never "nothing there".
 */
import { messageOf, TsweaveError } from "../../mesh/index.ts";
import { isRecord } from "../control/error-body.ts";
import type { FarLook } from "../control/look-api.ts";
import { tool } from "../doctor/host.ts";

export interface LinkLook {
  readonly up: boolean;
  /** Whether the other end of the wire is up, too. */
  readonly carrier: boolean;
  readonly master: string | null;
  readonly mtuBytes: number;
  /** Of a vxlan device. */
  readonly vni: number | null;
  readonly vxlanPort: number | null;
  /** Packets that came in from it, and that went out to it. */
  readonly rxPackets: number;
  readonly txPackets: number;
}

/** Looks at some devices of a namespace under /run/netns. @throws TsweaveError COMMAND_FAILED */
export async function lookAtLinks(
  netns: string,
  devices: readonly string[],
): Promise<ReadonlyMap<string, LinkLook>> {
  const lines = devices.map((device) => `link show dev ${device}\n`).join("");
  const argv = ["ip", "-n", netns, "-j", "-d", "-s", "-force", "-batch", "-"];
  const { code, out, err } = await tool(argv, lines);
  const isAbsent = /Cannot find device|does not exist|namespace ".*": No such file/.test(err);
  if (code !== 0 && !isAbsent) {
    const why = err.split("\n")[0] || `ip ended with ${code}`;
    throw new TsweaveError("COMMAND_FAILED", `cannot look into ${netns}: ${why}`);
  }
  return parseLinks(out);
}

/** What a host says of an endpoint's port and its network's tunnel. */
export function farLook(port: LinkLook | null, vxlan: LinkLook | null): FarLook {
  const isPlugged = port?.up === true && port.carrier && port.master === "br0";
  const isUp = vxlan?.up === true && vxlan.master === "br0";
  return {
    port: port === null ? "missing" : isPlugged ? "plugged" : "down",
    vxlan: vxlan === null ? "missing" : isUp ? "up" : "down",
    vni: vxlan?.vni ?? null,
    vxlanPort: vxlan?.vxlanPort ?? null,
    toPackets: port?.txPackets ?? 0,
    fromPackets: port?.rxPackets ?? 0,
  };
}

/** Reads one JSON array a line, as a batch prints them. @throws TsweaveError COMMAND_FAILED */
export function parseLinks(text: string): ReadonlyMap<string, LinkLook> {
  const links = new Map<string, LinkLook>();
  for (const row of jsonRows(text)) {
    if (typeof row.ifname === "string") links.set(row.ifname, readLink(row));
  }
  return links;
}

/** Rows of all JSON arrays, one array a line. @throws TsweaveError COMMAND_FAILED */
export function jsonRows(text: string): Readonly<Record<string, unknown>>[] {
  try {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return lines.flatMap((line) => JSON.parse(line)).filter(isRecord);
  } catch (error) {
    throw new TsweaveError("COMMAND_FAILED", `ip printed no JSON: ${messageOf(error)}`);
  }
}

function readLink(row: Readonly<Record<string, unknown>>): LinkLook {
  const flags: readonly unknown[] = Array.isArray(row.flags) ? row.flags : [];
  const info = field(row, "linkinfo");
  const data = info.info_kind === "vxlan" ? field(info, "info_data") : {};
  const stats = field(row, "stats64");
  return {
    up: flags.includes("UP"),
    carrier: !flags.includes("NO-CARRIER") && row.operstate !== "LOWERLAYERDOWN",
    master: typeof row.master === "string" ? row.master : null,
    mtuBytes: numberOr(row.mtu, 0),
    vni: numberOr(data.id, null),
    vxlanPort: numberOr(data.port, null),
    rxPackets: numberOr(field(stats, "rx").packets, 0),
    txPackets: numberOr(field(stats, "tx").packets, 0),
  };
}

function field(row: Readonly<Record<string, unknown>>, name: string) {
  const value = row[name];
  return isRecord(value) ? value : {};
}

function numberOr<Other>(value: unknown, other: Other): number | Other {
  return typeof value === "number" ? value : other;
}
