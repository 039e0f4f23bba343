/**
 * tsweave_gw: where its subnet lies, and who has which address on it. Pure.
 *
 * Law: the subnet overlaps no route of the host and no network of the mesh. It is written nowhere
 * but in the attachments' own addresses, so it cannot disagree with them.
 */
import { formatAddress, parseAddress, parseCidr } from "../../ipalloc/index.ts";
import { TsweaveError } from "../../mesh/index.ts";
import { cidrsOverlap, readCidr } from "../address.ts";
import type { HostRoute } from "../preflight.ts";
import type { Attachment } from "./model.ts";

/** Docker takes these from the other end. */
const CANDIDATES = [
  ...Array.from({ length: 15 }, (_, index) => `172.${31 - index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `192.168.${240 - index * 16}.0/20`),
];

/** The subnet in use, with the bridge's own address; undefined while nobody uses it. */
export function gatewayOf(
  attachments: readonly Pick<Attachment, "gatewayCidr">[],
): { readonly subnet: string; readonly cidr: string; readonly ip: string } | undefined {
  const used = attachments.find(({ gatewayCidr }) => gatewayCidr !== "")?.gatewayCidr;
  return used === undefined ? undefined : bridgeOf(subnetOf(used));
}

/**
 * The next free address on the bridge, with prefix length.
 * @throws TsweaveError NO_ADDRESS.
 */
export function nextGatewayCidr(
  attachments: readonly Pick<Attachment, "gatewayCidr">[],
  routes: readonly HostRoute[],
  networks: readonly string[],
): string {
  const subnet = gatewayOf(attachments)?.subnet ?? freeSubnet(routes, networks);
  const { start, end, prefix } = parseCidr(subnet);
  const taken = new Set(attachments.map(({ gatewayCidr }) => gatewayCidr));
  for (let value = start + 2n; value < end - 1n; value++) {
    const cidr = `${formatAddress(value, 32)}/${prefix}`;
    if (!taken.has(cidr)) return cidr;
  }
  throw new TsweaveError("NO_ADDRESS", `no address is free on tsweave_gw (${subnet})`, {
    hint: "use --no-gateway",
  });
}

function freeSubnet(routes: readonly HostRoute[], networks: readonly string[]): string {
  const taken = [...routes.map(({ destination }) => destination), ...networks].flatMap((text) => {
    const cidr = readCidr(text);
    return cidr === undefined || cidr.prefix <= 1 ? [] : [cidr];
  });
  const free = CANDIDATES.find((text) => {
    const block = readCidr(text);
    return block !== undefined && !taken.some((other) => cidrsOverlap(block, other));
  });
  if (free !== undefined) return free;
  throw new TsweaveError("NO_ADDRESS", "no private subnet is free for tsweave_gw", {
    hint: "use --no-gateway: the host has routes to all of them ('ip route')",
  });
}

function subnetOf(cidr: string): string {
  const [ip = "", prefix = ""] = cidr.split("/");
  const size = 1n << BigInt(32 - Number(prefix));
  const start = (parseAddress(ip).value / size) * size;
  return `${formatAddress(start, 32)}/${prefix}`;
}

function bridgeOf(subnet: string): { subnet: string; cidr: string; ip: string } {
  const { start, prefix } = parseCidr(subnet);
  const ip = formatAddress(start + 1n, 32);
  return { subnet, cidr: `${ip}/${prefix}`, ip };
}
