/** What a capture file of tcpdump holds of UDP over IPv4 and Ethernet. */
import { readFileSync } from "node:fs";

export interface Datagram {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  readonly payload: Buffer;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const UDP = 17;

/** Whole UDP datagrams of a file, in their order; other packets and a torn end are left out. */
export function datagramsOf(path: string): Datagram[] {
  const file = readFileSync(path);
  const found: Datagram[] = [];
  let at = FILE_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= file.length) {
    const bytes = file.readUInt32LE(at + 8);
    at += RECORD_HEADER_BYTES;
    const packet = file.subarray(at + ETHERNET_BYTES, at + bytes);
    at += bytes;
    const datagram = at <= file.length ? datagramIn(packet) : undefined;
    if (datagram !== undefined) found.push(datagram);
  }
  return found;
}

function datagramIn(packet: Buffer): Datagram | undefined {
  const ipBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  if (packet.length < ipBytes + 8 || packet[0] !== 0x45 || packet[9] !== UDP) return undefined;
  return {
    from: [...packet.subarray(12, 16)].join("."),
    to: [...packet.subarray(16, 20)].join("."),
    fromPort: packet.readUInt16BE(ipBytes),
    toPort: packet.readUInt16BE(ipBytes + 2),
    payload: packet.subarray(ipBytes + 8, ipBytes + packet.readUInt16BE(ipBytes + 4)),
  };
}
