/** Node's sockets behind the shapes that a session uses. */
import type { Socket as Datagram } from "node:dgram";
import type { Server, Socket } from "node:net";
import { type Cancel, LIMITS, type Log, messageOf } from "../../mesh/index.ts";
import type { DatagramDoor, StreamPeer } from "../sandbox.ts";

/** A UDP socket; what cannot be sent is a lost packet. */
export function datagramDoor(socket: Datagram, log: Log): DatagramDoor {
  const lost = (error: unknown) => log.debug({ err: messageOf(error) }, "dns datagram lost");
  socket.on("error", lost);
  return {
    send(to, packet) {
      try {
        socket.send(packet, to.port, to.host, (error) => {
          if (error !== null) lost(error);
        });
      } catch (error) {
        lost(error); // Closed in between, or a client that sent from port 0.
      }
    },
    onPacket(receive) {
      const listener = (packet: Buffer, from: { address: string; port: number }) =>
        receive({ host: from.address, port: from.port }, packet);
      socket.on("message", listener);
      return () => socket.off("message", listener);
    },
  };
}

/** Connections of a listening socket. */
export function acceptFrom(server: Server, accept: (peer: StreamPeer) => void, log: Log): Cancel {
  const listener = (socket: Socket) => accept(streamPeer(socket, log));
  server.on("connection", listener);
  return () => server.off("connection", listener);
}

function streamPeer(socket: Socket, log: Log): StreamPeer {
  socket.setNoDelay(true);
  socket.on("error", (error) => log.debug({ err: messageOf(error) }, "dns connection lost"));
  return {
    write(bytes) {
      if (!socket.writable) return;
      socket.write(bytes);
      if (socket.writableLength > LIMITS.dnsTcpBacklogBytesMax) socket.destroy();
    },
    close: () => socket.destroy(),
    onData: (receive) => socket.on("data", receive),
    onClose: (notify) => socket.once("close", notify),
  };
}
