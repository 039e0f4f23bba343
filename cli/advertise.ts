/**
 * Which of this host's addresses peers are told to use, when the operator names none: the one the
 * kernel would send from towards the first peer. No packet is sent to find out.
 */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { type HostPort, messageOf, TsweaveError } from "../mesh/index.ts";

/** Documentation range (RFC 5737): its route is the default route. */
const SOMEWHERE = "192.0.2.1";

/** The literal address of each peer; names are looked up once, IPv4 first. */
export async function resolvePeers(peers: readonly HostPort[]): Promise<HostPort[]> {
  return await Promise.all(
    peers.map(async ({ host, port }) => {
      if (isIP(host) !== 0) return { host, port };
      try {
        return { host: (await lookup(host, { family: 4 })).address, port };
      } catch (error) {
        throw new TsweaveError("CONFIG", `peer ${host} cannot be resolved: ${messageOf(error)}`, {
          hint: "name it by address, or add it to /etc/hosts",
          cause: error,
        });
      }
    }),
  );
}

/** The source address towards the first peer, or towards the default route without peers. */
export async function chooseAdvertise(peers: readonly HostPort[]): Promise<string> {
  const own = new Set(ownAddresses());
  const other = peers.find(({ host }) => !own.has(host));
  const source = await sourceTowards(other?.host ?? SOMEWHERE);
  const chosen = source ?? ownAddresses().at(0);
  if (chosen !== undefined) return chosen;
  throw new TsweaveError("CONFIG", "this host has no address that peers could reach", {
    hint: "name one with --advertise ADDR",
  });
}

/** Whether an address is one of this host's. */
export function isOwnAddress(host: string): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === host),
  );
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address);
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
