/**
 * The sockets of the listener for the host itself.
 *
 * Law: one literal address, so that replies leave from where the question went to.
 */
import { createSocket, type Socket } from "node:dgram";
import { createServer, isIPv6, type Server } from "node:net";
import { type HostPort, type Log, messageOf, TsweaveError } from "../../mesh/index.ts";
import type { HostSockets } from "../sandbox.ts";
import { acceptFrom, datagramDoor } from "./socket-doors.ts";

/** Listens on UDP and TCP. @throws TsweaveError PORT_IN_USE, CONFIG. */
export async function openHostSockets(at: HostPort, log: Log): Promise<HostSockets> {
  const udp = await boundUdp(at);
  let tcp: Server;
  try {
    tcp = await listening(at);
  } catch (error) {
    udp.close();
    throw error;
  }
  tcp.on("error", (error) => log.warn({ err: error.message }, "dns listener failed"));
  return {
    udp: datagramDoor(udp, log),
    onConnection: (accept) => acceptFrom(tcp, accept, log),
    close: async () => {
      await Promise.all([
        new Promise<void>((resolve) => udp.close(resolve)),
        new Promise<void>((resolve) => {
          tcp.close(() => resolve());
        }),
      ]);
    },
  };
}

function boundUdp({ host, port }: HostPort): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const family = isIPv6(host) ? 6 : 4;
    const socket = createSocket({
      type: `udp${family}`,
      // Clients are literal addresses: nothing is to be looked up for each reply.
      lookup: (address, _options, done) => done(null, address, family),
    });
    const failed = (error: Error) => {
      socket.close();
      reject(explained(error, { host, port }));
    };
    socket.once("error", failed);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

function listening({ host, port }: HostPort): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    const failed = (error: Error) => reject(explained(error, { host, port }));
    server.once("error", failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", failed);
      resolve(server);
    });
  });
}

function explained(error: NodeJS.ErrnoException, { host, port }: HostPort): TsweaveError {
  const options = { cause: error, hint: "give --dns-listen another address or port" };
  if (error.code === "EADDRINUSE") {
    return new TsweaveError("PORT_IN_USE", `${host} port ${port} is in use by another`, options);
  }
  if (error.code === "EADDRNOTAVAIL") {
    return new TsweaveError("CONFIG", `${host} is no address of this host`, options);
  }
  return new TsweaveError("CONFIG", `cannot listen on ${host}: ${messageOf(error)}`, options);
}
