/** Networks, endpoints and inputs that the overlay tests share. */
import { macOf } from "../../../overlay/address.ts";
import { KEEP_ALL } from "../../../overlay/diff-remote.ts";
import {
  type LocalEndpoint,
  type Network,
  netnsName,
  type RemoteEndpoint,
} from "../../../overlay/model.ts";
import type { ReconcileInput } from "../../../overlay/pass.ts";

export const SELF = { peer: "a".repeat(32), vtep: "192.0.2.1" };
export const OPTIONS = { vxlanPort: 4789, self: SELF };
export const PROOF = { mayRemove: () => true, mayRemoveEndpoint: () => true };

export const NET: Network = {
  name: "tsweave",
  id: "0123456789abcdef".repeat(4),
  vni: 256,
  subnet: "10.32.0.0/12",
  gateway: "10.32.0.1",
  mtuBytes: 1450,
  internal: false,
};
export const NETNS = netnsName(NET);

/** A local endpoint whose id starts with `digit` repeated. */
export function local(digit: string, ip: string, mac = macOf(ip)): LocalEndpoint {
  return { id: digit.repeat(64), network: NET.name, ip, mac };
}

export function remote(
  ip: string,
  vtep = "192.0.2.2",
  more: Partial<RemoteEndpoint> = {},
): RemoteEndpoint {
  const base = { id: `id-${ip}`, network: NET.name, ip, mac: macOf(ip), vtep };
  return { ...base, peer: "b".repeat(32), ...more };
}

export function input(more: Partial<ReconcileInput> = {}): ReconcileInput {
  return { networks: [NET], locals: [], remotes: [], options: OPTIONS, keep: KEEP_ALL, ...more };
}
