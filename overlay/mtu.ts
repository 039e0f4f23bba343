/**
 * The MTU inside the overlay follows the underlay's.
 *
 * Law: a frame plus its VXLAN headers fits the underlay: outer IP 20 (IPv6 40), UDP 8, VXLAN 8,
 * inner Ethernet 14 bytes (RFC 7348 §5). On a jumbo underlay this is the largest single win.
 */
import { TsweaveError } from "../mesh/index.ts";

/** A container must at least pass what every IPv4 host must accept (RFC 791). */
export const OVERLAY_MTU_MIN = 576;

/** The underlay size that leaves this overlay MTU. @throws TsweaveError CONFIG. */
export function underlayMtu(overlayMtuBytes: number, family: 4 | 6): number {
  const underlayBytes = overlayMtuBytes + (family === 6 ? 70 : 50);
  overlayMtu(underlayBytes, family);
  if (underlayBytes <= 65_535) return underlayBytes;
  throw new TsweaveError("CONFIG", `an MTU of ${overlayMtuBytes} is more than VXLAN can carry`);
}

/** Overlay MTU for an underlay MTU and address family. Throws `CONFIG` when too little is left. */
export function overlayMtu(underlayMtuBytes: number, family: 4 | 6 = 4): number {
  const mtuBytes = underlayMtuBytes - (family === 6 ? 70 : 50);
  if (Number.isInteger(mtuBytes) && mtuBytes >= OVERLAY_MTU_MIN) return mtuBytes;
  throw new TsweaveError("CONFIG", `underlay MTU ${underlayMtuBytes} is too small for VXLAN`, {
    hint: "give the MTU of the overlay with --mtu, or raise the underlay's",
  });
}
