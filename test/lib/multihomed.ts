/**
 * One host on several networks of a test: what it sends leaves from its address on the receiver's
 * network, as routes would have it; what it has no network for is lost.
 */
import type { Datagrams, HostPort, Streams } from "../../mesh/index.ts";

/** The first two numbers of an address name its network. */
export function networkOf(host: string): string {
  return host.split(".").slice(0, 2).join(".");
}

/** The sockets of one host, one a network, as a single one. */
export function multihomed(sockets: readonly Datagrams[]): Datagrams {
  const [first] = sockets;
  if (first === undefined) throw new Error("a host has at least one address");
  return {
    local: first.local,
    send: (to, packet) => socketTowards(sockets, to)?.send(to, packet),
    onPacket: (receive) => {
      const cancels = sockets.map((socket) => socket.onPacket(receive));
      return () => {
        for (const cancel of cancels) cancel();
      };
    },
    close: async () => {
      for (const socket of sockets) await socket.close();
    },
  };
}

/** The same for probes of hosts: silent where there is no network in common. */
export function multihomedProbe(
  hosts: readonly { readonly local: HostPort; readonly streams: Pick<Streams, "probe"> }[],
): Pick<Streams, "probe"> {
  return {
    probe: async (to, deadlineMs) =>
      (await socketTowards(hosts, to)?.streams.probe(to, deadlineMs)) ?? "silent",
  };
}

function socketTowards<Socket extends { readonly local: HostPort }>(
  sockets: readonly Socket[],
  to: HostPort,
): Socket | undefined {
  return sockets.find(({ local }) => networkOf(local.host) === networkOf(to.host));
}
