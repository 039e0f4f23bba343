/**
 * Addresses that many listen to: which groups a host tells of, and the MACs that frames carry.
 *
 * Law: 224.0.0.0/24 is never joined in a way that a bridge could snoop (RFC 4541 §2.1.2), so those
 * of its groups that applications use are treated like broadcast; the rest of it, 224.0.0.1 and
 * 224.0.0.22 above all, stays on its host: a query that crossed would silence the others' queriers.
 */
import { isIp } from "../address.ts";

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

/** mDNS, LLMNR, VRRP, and the two of OSPF. */
const LINK_LOCAL_GROUPS = ["224.0.0.251", "224.0.0.252", "224.0.0.18", "224.0.0.5", "224.0.0.6"];

/** MACs whose frames go to every host with endpoints of the network. */
export const ALL_HOSTS_MACS: readonly string[] = [
  BROADCAST_MAC,
  ...LINK_LOCAL_GROUPS.map(groupMac),
];

/** True for a canonical IPv4 group whose members a bridge learns by IGMP. */
export function isSnooped(ip: string): boolean {
  if (ip.includes(":") || !isIp(ip)) return false;
  const [first = 0, second, third] = ip.split(".").map(Number);
  return first >= 224 && first < 240 && (first !== 224 || second !== 0 || third !== 0);
}

/** The MAC of a group (RFC 1112 §6.4): 23 bits of the address, so 32 groups share each. */
export function groupMac(ip: string): string {
  const [, second = 0, third = 0, fourth = 0] = ip.split(".").map(Number);
  const bytes = [second & 0x7f, third, fourth];
  return `01:00:5e:${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
}

/** A group as the 32 bits of its address. */
export function groupBits(ip: string): number {
  return ip.split(".").reduce((bits, part) => bits * 256 + Number(part), 0);
}

/** The dotted quad of 32 bits. */
export function groupText(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join(".");
}
