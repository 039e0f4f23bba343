/**
 * Finds what carries traffic between hosts and reads its MTU: the device of this host's address,
 * and the routes to peers.
 *
 * Law: the MTU is taken from the device of the advertised address, else of the default route,
 * never guessed; only a host with neither falls back to Ethernet's 1500. What the kernel learned
 * from ICMP is no route's MTU: anybody could have sent it, and it fades.
 */
import { isIP } from "node:net";
import { messageOf, TsweaveError } from "../../mesh/index.ts";
import type { UnderlayRoute } from "../underlay.ts";
import { run } from "./exec.ts";

export interface Underlay {
  /** Empty when no device was found. */
  readonly device: string;
  readonly mtuBytes: number;
}

const FALLBACK: Underlay = { device: "", mtuBytes: 1500 };

interface LinkRow {
  readonly ifname?: string;
  readonly dev?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
}

/** The underlay device and MTU; `advertise` is this host's address as peers know it. */
export async function readUnderlay(
  advertise: string | undefined,
  prefix: readonly string[] = [],
): Promise<Underlay> {
  const ip = async (...args: string[]): Promise<LinkRow[]> => {
    const { stdout } = await run([...prefix, "ip", "-j", ...args]);
    return parseRows(stdout);
  };
  if (advertise !== undefined && isIP(advertise) !== 0) {
    const carriers = await ip("addr", "show", "to", advertise);
    const carrier = carriers.find((row) => row.ifname !== undefined && !isLoopback(row));
    if (carrier !== undefined) return underlayOf(carrier);
  }
  const family = advertise?.includes(":") === true ? "-6" : "-4";
  const [route] = await ip(family, "route", "show", "default");
  if (route?.dev === undefined) return FALLBACK;
  const [link] = await ip("link", "show", "dev", route.dev);
  return link === undefined ? FALLBACK : underlayOf(link);
}

interface RouteRow {
  readonly dst?: string;
  readonly dev?: string;
  readonly expires?: unknown;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

/** Lines of one batch: more peers take several. */
const ROUTES_AT_ONCE = 256;

/**
 * The routes to these addresses, one process for hundreds; an address without a route is left out,
 * as is one of this host's own.
 */
export async function readRoutes(
  vteps: readonly string[],
  prefix: readonly string[] = [],
): Promise<UnderlayRoute[]> {
  const found: UnderlayRoute[] = [];
  const literal = vteps.filter((vtep) => isIP(vtep) !== 0);
  for (let start = 0; start < literal.length; start += ROUTES_AT_ONCE) {
    const part = literal.slice(start, start + ROUTES_AT_ONCE);
    const input = ["link show", ...part.map((vtep) => `route get ${vtep}`), ""].join("\n");
    const argv = [...prefix, "ip", "-j", "-force", "-batch", "-"];
    const { stdout } = await run(argv, { input, tolerant: true });
    const [links = "", ...routes] = stdout.split("\n").filter((line) => line !== "");
    const mtus = new Map(parseRows(links).map(({ ifname = "", mtu = 0 }) => [ifname, mtu]));
    for (const line of routes) {
      const [row] = parseRows(line) as readonly RouteRow[];
      const route = row === undefined ? undefined : routeOf(row, mtus);
      if (route !== undefined) found.push(route);
    }
  }
  return found;
}

function routeOf(row: RouteRow, mtus: ReadonlyMap<string, number>): UnderlayRoute | undefined {
  const { dst: vtep, dev: device, metrics = [], expires } = row;
  const deviceMtu = device === undefined ? undefined : mtus.get(device);
  if (vtep === undefined || device === undefined || deviceMtu === undefined) return undefined;
  if (device === "lo") return undefined;
  const own =
    expires === undefined ? (metrics.find(({ mtu }) => mtu)?.mtu ?? deviceMtu) : deviceMtu;
  return { vtep, device, mtuBytes: Math.min(own, deviceMtu), isOwn: own < deviceMtu };
}

function underlayOf(row: LinkRow): Underlay {
  return { device: row.ifname ?? "", mtuBytes: row.mtu ?? FALLBACK.mtuBytes };
}

function isLoopback(row: LinkRow): boolean {
  return row.flags?.includes("LOOPBACK") === true;
}

function parseRows(text: string): LinkRow[] {
  if (text.trim() === "") return [];
  try {
    const rows: unknown = JSON.parse(text);
    return Array.isArray(rows) ? rows : [];
  } catch (cause) {
    throw new TsweaveError("COMMAND_FAILED", `ip: no JSON: ${messageOf(cause)}`, { cause });
  }
}

/** Whether a device of this host has it, be it without a carrier. @throws COMMAND_FAILED */
export async function hasAddress(host: string): Promise<boolean> {
  const { stdout } = await run(["ip", "-o", "address", "show", "to", host]);
  return stdout.trim() !== "";
}
