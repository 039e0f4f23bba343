/** Frames made by hand, as an attacker makes them. */

/** A VXLAN packet's payload (RFC 7348): header, Ethernet header, inner packet. */
export function vxlanFrame(frame: {
  readonly vni: number;
  readonly to: string;
  readonly from: string;
  readonly inner: Buffer;
}): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x08;
  header.writeUIntBE(frame.vni, 4, 3);
  const mac = (text: string) => Buffer.from(text.replaceAll(":", ""), "hex");
  const ethernet = Buffer.concat([mac(frame.to), mac(frame.from), Buffer.from("0800", "hex")]);
  return Buffer.concat([header, ethernet, frame.inner]);
}

/** An IPv4 packet of UDP to the discard port, with a right header checksum. */
export function ipv4Packet(packet: {
  readonly from: string;
  readonly to: string;
  readonly payload: Buffer;
}): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(4000, 0);
  udp.writeUInt16BE(9, 2);
  udp.writeUInt16BE(8 + packet.payload.length, 4);
  const header = Buffer.alloc(20);
  header.writeUInt16BE(0x4500, 0);
  header.writeUInt16BE(28 + packet.payload.length, 2);
  header.writeUInt16BE(0x4011, 8);
  const quad = (text: string) => Buffer.from(text.split(".").map(Number));
  quad(packet.from).copy(header, 12);
  quad(packet.to).copy(header, 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  header.writeUInt16BE(~sum & 0xffff, 10);
  return Buffer.concat([header, udp, packet.payload]);
}
