/**
 * Finds the device that carries traffic between hosts and reads its MTU.
 *
 * Law: the MTU is taken from the device of the advertised address, else of the default route,
 * never guessed; only a host with neither falls back to Ethernet's 1500.
 */
import { isIP } from "node:net";
import { messageOf, TsweaveError } from "../../mesh/index.ts";
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
