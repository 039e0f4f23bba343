/**
 * The socket of the direct path's probes: UDP to addresses that only the own nft table knows.
 *
 * Law: an answer counts by its source and its number; whatever else arrives is dropped.
 */
import { createSocket, type Socket } from "node:dgram";
import { PROBE_PORT, PROBE_SOURCE } from "../direct/table.ts";

/** VNI, number and a secret of this process: whoever forges an answer has to see a probe. */
const BYTES = 16;

export interface ProbeSocket {
  readonly port: number;
  send(vni: number, number: number, to: string): void;
  close(): void;
}

/** Opens the socket; PROBE_SOURCE must be an address of the host. `heard`: number and source. */
export async function openProbeSocket(
  secret: Uint8Array,
  heard: (number: number, from: string) => void,
): Promise<ProbeSocket> {
  const socket = createSocket("udp4");
  await bound(socket);
  const tail = Buffer.from(secret.subarray(0, 8));
  socket.on("message", (message, { address }) => {
    if (message.length === BYTES && message.subarray(8).equals(tail)) {
      heard(message.readUInt32BE(4), address);
    }
  });
  // A probe that cannot be sent is one without an answer.
  socket.on("error", () => undefined);
  return {
    port: socket.address().port,
    send: (vni, number, to) => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(vni, 0);
      head.writeUInt32BE(number, 4);
      socket.send(Buffer.concat([head, tail]), PROBE_PORT, to, () => undefined);
    },
    close: () => socket.close(),
  };
}

async function bound(socket: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, PROBE_SOURCE, () => {
      socket.removeListener("error", reject);
      resolve();
    });
  });
  socket.unref();
}
