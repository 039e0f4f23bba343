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
  return Buffer.concat([header, etherFrame(frame.to, frame.from, 0x0800, frame.inner)]);
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

/** An Ethernet frame. MACs with colons. */
export function etherFrame(to: string, from: string, type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(14);
  macBytes(to).copy(head, 0);
  macBytes(from).copy(head, 6);
  head.writeUInt16BE(type, 12);
  return Buffer.concat([head, payload]);
}

/** An ARP reply nobody asked for: `ip` is said to be at `mac`. */
export function arpReply(claim: {
  readonly ip: string;
  readonly mac: string;
  readonly to: string;
  readonly toIp: string;
}): Buffer {
  const quad = (text: string) => Buffer.from(text.split(".").map(Number));
  const said = [macBytes(claim.mac), quad(claim.ip), macBytes(claim.to), quad(claim.toIp)];
  const arp = Buffer.concat([Buffer.from("0001080006040002", "hex"), ...said]);
  return etherFrame(claim.to, claim.mac, 0x0806, arp);
}

/** Program for `perl -e`: sends the frames of its input, one a line in hex, by the device named. */
export const RAW_SENDER = `
  use Socket; my ($device) = @ARGV;
  socket(my $s, 17, SOCK_RAW, 0) or die "socket: $!";
  my $ifreq = pack("a16 x16", $device);
  ioctl($s, 0x8933, $ifreq) or die "ioctl: $!";
  my $index = unpack("x16 i", $ifreq);
  while (my $line = <STDIN>) {
    chomp $line; my $frame = pack("H*", $line);
    my $to = pack("S n i S C C a8", 17, 0, $index, 0, 0, 6, substr($frame, 0, 6));
    send($s, $frame, 0, $to) or die "send: $!";
  }`;

function macBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}
