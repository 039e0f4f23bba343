/**
 * An endpoint as its own host has it in the kernel, for `tsweave explain` on another host.
 *
 * Law: a peer's question is read strictly, starts one short process at most, and only looks. What
 * is asked for is named by us: no word of the question reaches a command line.
 */
import {
  type Cancel,
  type Rpc,
  readArray,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../../mesh/index.ts";
import { overlayEnd } from "../../overlay/index.ts";
import type { NamespaceRow } from "../control/api.ts";
import type { FarLook, LookWish } from "../control/look-api.ts";
import { farLook, lookAtLinks } from "../explain/link-look.ts";
import { atMost } from "./at-most.ts";

const SERVICE = "endpoint";
const DEADLINE_MS = 4000;
const AT_ONCE_MAX = 4;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;
const PORTS = ["plugged", "down", "missing"] as const;
const STATES = ["up", "down", "missing"] as const;

/** Answers the questions of others about endpoints of this host. */
export function serveEndpointLooks(rpc: Rpc, namespaces: () => readonly NamespaceRow[]): Cancel {
  const bounded = atMost(AT_ONCE_MAX, "looks");
  return rpc.serve(SERVICE, async (_from, body) => {
    const fields = readArray(body, "endpoint", 2, 16);
    const network = readString(fields[0], "endpoint.network", 255);
    const id = readString(fields[1], "endpoint.id", 64);
    if (!/^[0-9a-f]{8,64}$/.test(id)) {
      throw new TsweaveError("BAD_REQUEST", "endpoint.id is not an id");
    }
    return await bounded(async () => {
      const netns = namespaces().find((one) => one.network === network)?.namespace;
      return toWire(await lookAtEndpoint(netns, id));
    });
  });
}

/** Asks an endpoint's host. @throws TsweaveError PEER_UNREACHABLE, BAD_REQUEST, BAD_MESSAGE */
export async function askEndpoint(rpc: Rpc, { peer, network, id }: LookWish): Promise<FarLook> {
  return fromWire(await rpc.call(peer, SERVICE, [network, id], DEADLINE_MS));
}

async function lookAtEndpoint(netns: string | undefined, id: string): Promise<FarLook> {
  const device = overlayEnd(id);
  const links = netns === undefined ? new Map() : await lookAtLinks(netns, [device, "vxlan0"]);
  return farLook(links.get(device) ?? null, links.get("vxlan0") ?? null);
}

function toWire(look: FarLook): WireValue {
  const { port, vxlan, vni, vxlanPort, toPackets, fromPackets } = look;
  const states = [PORTS.indexOf(port), STATES.indexOf(vxlan)];
  return [...states, vni ?? 0, vxlanPort ?? 0, toPackets, fromPackets];
}

/** @throws TsweaveError BAD_MESSAGE */
function fromWire(value: WireValue): FarLook {
  const fields = readArray(value, "look", 6, 32);
  const number = (at: number, name: string, most: number) =>
    readInteger(fields[at], `look.${name}`, 0, most);
  return {
    port: PORTS[number(0, "port", PORTS.length - 1)] ?? "missing",
    vxlan: STATES[number(1, "vxlan", STATES.length - 1)] ?? "missing",
    vni: number(2, "vni", 0xffffff) || null,
    vxlanPort: number(3, "vxlanPort", 65_535) || null,
    toPackets: number(4, "toPackets", COUNT_MAX),
    fromPackets: number(5, "fromPackets", COUNT_MAX),
  };
}
