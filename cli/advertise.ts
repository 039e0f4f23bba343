/**
 * Which of this host's addresses peers are told to use, when the operator names none: first the one
 * the kernel would send from towards the first peer, then the host's other addresses. No packet is
 * sent to find out.
 *
 * Law: addresses that every host has (loopback, link-local, bridges without a port to the outside)
 * are never announced: they would lead a peer to itself. Nor are those of the overlay, which lie
 * behind the very tunnel that they would have to carry.
 */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { existsSync, readdirSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { type HostPort, LIMITS, messageOf, TsweaveError } from "../mesh/index.ts";

/** Documentation ranges (RFC 5737, RFC 3849): their routes are the default routes. */
const SOMEWHERE = ["192.0.2.1", "2001:db8::1"] as const;
const CLASS_NET = "/sys/class/net";

/** The literal address of each peer; names are looked up once, IPv4 first. */
export async function resolvePeers(peers: readonly HostPort[]): Promise<HostPort[]> {
  return await Promise.all(
    peers.map(async ({ host, port }) => {
      if (isIP(host) !== 0) return { host, port };
      try {
        return { host: (await lookup(host, { order: "ipv4first" })).address, port };
      } catch (error) {
        throw new TsweaveError("CONFIG", `peer ${host} cannot be resolved: ${messageOf(error)}`, {
          hint: "name it by address, or add it to /etc/hosts",
          cause: error,
        });
      }
    }),
  );
}

/**
 * This host's addresses, the best first: the source address towards the first peer, or towards the
 * default route without peers, then the others of the kinds that `bind` listens on.
 */
export async function chooseAdvertise(
  peers: readonly HostPort[],
  bind: string | undefined,
): Promise<readonly string[]> {
  if (bind !== undefined && isReachable(bind)) return [bind];
  const own = new Set(ownAddresses().map(({ address }) => address));
  const other = peers.find(({ host }) => !own.has(host));
  const first = await firstSource(other === undefined ? SOMEWHERE : [other.host, ...SOMEWHERE]);
  const hosts = announceable(ownAddresses(), isOutwardBridge);
  const chosen = first ?? hosts[0];
  if (chosen === undefined) {
    throw new TsweaveError("CONFIG", "this host has no address that peers could reach", {
      hint: "name one with --advertise ADDR",
    });
  }
  const families = bind === undefined ? familiesFor(chosen) : bind === "::" ? [4, 6] : [4];
  const usable = hosts.filter((host) => host !== chosen && families.includes(isIP(host)));
  return [chosen, ...usable].slice(0, LIMITS.addressesPerPeerMax);
}

/** An IPv6 mesh listens on both kinds, an IPv4 one as it always did. */
function familiesFor(chosen: string): readonly number[] {
  return isIP(chosen) === 6 ? [6, 4] : [4];
}

interface OwnAddress {
  readonly device: string;
  readonly address: string;
  readonly internal: boolean;
}

/** Which of a host's addresses are worth announcing, in the kernel's order. */
export function announceable(
  addresses: readonly OwnAddress[],
  leadsOut: (device: string) => boolean,
): string[] {
  const found = addresses.filter(
    ({ device, address, internal }) =>
      !internal && isReachable(address) && !device.startsWith("tsweave") && leadsOut(device),
  );
  return [...new Set(found.map(({ address }) => address))];
}

/** Whether an address can be another host's: not loopback, link-local, multicast or unspecified. */
export function isReachable(host: string): boolean {
  if (isIP(host) === 0 || host.includes("%")) return false;
  const range = ipaddr.process(host).range();
  return !["unspecified", "loopback", "linkLocal", "multicast", "broadcast"].includes(range);
}

/** Whether an address is one of this host's. */
export function isOwnAddress(host: string): boolean {
  return ownAddresses().some(({ address }) => address === host);
}

function ownAddresses(): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([device, list]) =>
    (list ?? []).map(({ address, internal }) => ({ device, address, internal })),
  );
}

/** A bridge leads out only by a hardware port; docker0, virbr0 and the like have none. */
function isOutwardBridge(device: string): boolean {
  if (!existsSync(`${CLASS_NET}/${device}/bridge`)) return true;
  const ports = readdirSync(`${CLASS_NET}/${device}/brif`);
  return ports.some((port) => existsSync(`${CLASS_NET}/${port}/device`));
}

async function firstSource(targets: readonly string[]): Promise<string | undefined> {
  for (const target of targets) {
    const source = await sourceTowards(target);
    if (source !== undefined && isReachable(source)) return source;
  }
  return undefined;
}

async function sourceTowards(host: string): Promise<string | undefined> {
  const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
  try {
    return await new Promise<string | undefined>((resolve) => {
      socket.once("error", () => resolve(undefined));
      // Without a route the callback gets the error and the socket has no address of its own.
      socket.connect(9, host, (error?: Error) => {
        resolve(error === undefined || error === null ? socket.address().address : undefined);
      });
    });
  } finally {
    socket.close();
  }
}
