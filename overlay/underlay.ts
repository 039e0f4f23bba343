/**
 * What the underlay of each host can carry, and so the MTU of the mesh's networks. Pure.
 *
 * Laws: the MTU is that of the routes to the peers, not of some device; a network is one L2 segment
 * and has one MTU, the least that any host of the mesh offers; a path counts for less than its
 * route only when that is proved.
 */
import {
  type PeerId,
  readArray,
  readBoolean,
  readInteger,
  readString,
  type WireValue,
} from "../mesh/index.ts";
import { OVERLAY_MTU_MIN, overlayMtu } from "./mtu.ts";

/** A way to a peer's underlay address. */
export interface UnderlayRoute {
  readonly vtep: string;
  readonly device: string;
  readonly mtuBytes: number;
  /** The route itself has this MTU, less than its device's. */
  readonly isOwn: boolean;
}

/** What is seen of the underlay on this host. */
export interface UnderlayView {
  /** Device of the advertised address, else of the default route; empty when there is none. */
  readonly device: string;
  readonly mtuBytes: number;
  readonly routes: readonly UnderlayRoute[];
}

const CAUSES = ["device", "route", "path", "operator"] as const;
/** What limits an offer: a device, the route to a peer, a proved path, or --mtu. */
export type OfferCause = (typeof CAUSES)[number];

/** What a host tells all others of its underlay: its only row in `hosts`. */
export interface HostRow {
  readonly vxlanPort: number;
  /** Largest packet of a container that this host can pass to all others. */
  readonly overlayMtuBytes: number;
  readonly underlayMtuBytes: number;
  readonly cause: OfferCause;
  /** The device, or the underlay address of the peer. */
  readonly about: string;
  /** Whether it serves Docker; hosts of earlier versions do not say, and do. */
  readonly docker: boolean;
}

/** The key of every host's row. */
export const HOST_KEY = "underlay";
const MTU_MAX = 65_535;

/**
 * What this host can carry. `proved`: bytes of the largest packet that passes to an underlay
 * address, where that is less than its route says; `fixedBytes`: --mtu, which stands for itself.
 */
export function offerOf(
  view: UnderlayView,
  proved: ReadonlyMap<string, number>,
  own: {
    readonly vxlanPort: number;
    readonly underlay: 4 | 6;
    readonly fixedBytes: number | undefined;
    readonly docker: boolean;
  },
): HostRow {
  const { vxlanPort, underlay, fixedBytes, docker } = own;
  const device: Limit = { mtuBytes: view.mtuBytes, cause: "device", about: view.device };
  const least = (view.routes.length === 0 ? [device] : view.routes.map(limitOf(proved))).reduce(
    (one, other) => (other.mtuBytes < one.mtuBytes ? other : one),
  );
  const underlayMtuBytes = Math.min(least.mtuBytes, MTU_MAX);
  const small = OVERLAY_MTU_MIN + (underlay === 6 ? 70 : 50);
  const fits = overlayMtu(Math.max(underlayMtuBytes, small), underlay);
  const offered = { overlayMtuBytes: fits, cause: least.cause, about: least.about };
  const fixed = { overlayMtuBytes: fixedBytes ?? fits, cause: "operator" as const, about: "" };
  return { vxlanPort, underlayMtuBytes, docker, ...(fixedBytes === undefined ? offered : fixed) };
}

interface Limit extends Pick<HostRow, "cause" | "about"> {
  readonly mtuBytes: number;
}

function limitOf(proved: ReadonlyMap<string, number>): (route: UnderlayRoute) => Limit {
  return ({ vtep, device, mtuBytes, isOwn }) => {
    const passes = proved.get(vtep) ?? mtuBytes;
    if (passes < mtuBytes) return { mtuBytes: passes, cause: "path", about: vtep };
    return isOwn
      ? { mtuBytes, cause: "route", about: vtep }
      : { mtuBytes, cause: "device", about: device };
  };
}

/** The host that offers least; of equals the one with the lowest id, the same everywhere. */
export function leastOffer(
  offers: Iterable<{ readonly origin: PeerId; readonly row: HostRow }>,
): { readonly origin: PeerId; readonly row: HostRow } | undefined {
  let least: { readonly origin: PeerId; readonly row: HostRow } | undefined;
  for (const offer of offers) {
    const less = offer.row.overlayMtuBytes - (least?.row.overlayMtuBytes ?? MTU_MAX + 1);
    if (less < 0 || (less === 0 && offer.origin < (least?.origin ?? ""))) least = offer;
  }
  return least;
}

export function hostToWire(row: HostRow): WireValue {
  const { vxlanPort, overlayMtuBytes, underlayMtuBytes, cause, about, docker } = row;
  return [vxlanPort, overlayMtuBytes, underlayMtuBytes, CAUSES.indexOf(cause), about, docker];
}

/** @throws TsweaveError BAD_MESSAGE */
export function hostFromWire(value: WireValue): HostRow {
  const [port, overlay, underlay, cause, about, docker = true] = readArray(value, "host", 5, 16);
  return {
    vxlanPort: readInteger(port, "host.vxlanPort", 1, 65_535),
    overlayMtuBytes: readInteger(overlay, "host.overlayMtu", OVERLAY_MTU_MIN, MTU_MAX),
    underlayMtuBytes: readInteger(underlay, "host.underlayMtu", 0, MTU_MAX),
    cause: CAUSES[readInteger(cause, "host.cause", 0, 255)] ?? "device",
    about: readString(about, "host.about", 64),
    docker: readBoolean(docker, "host.docker"),
  };
}
