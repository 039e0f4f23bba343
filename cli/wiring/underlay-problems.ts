/** What a person should know of the underlay, and why a network has the MTU it has. Pure. */
import type { Member, PeerId } from "../../mesh/index.ts";
import type { HostRow, PathFinding } from "../../overlay/index.ts";
import type { HealthProblem } from "../control/api.ts";
import type { OffloadState } from "./tunnels.ts";

/** One host's row. */
export interface Offer {
  readonly origin: PeerId;
  readonly row: HostRow;
}

/** Peers named one by one. */
const NAMED_MAX = 8;

/** Peers whose tunnels are at another port: neither host hears the other's containers. */
export function vxlanPortProblems(
  members: readonly Member[],
  offers: readonly Offer[],
  vxlanPort: number,
): HealthProblem[] {
  const rows = new Map(offers.map(({ origin, row }) => [origin, row]));
  const others = members.flatMap(({ id, name, self, state }) => {
    const port = rows.get(id)?.vxlanPort ?? vxlanPort;
    return self || state !== "alive" || port === vxlanPort ? [] : [{ name, port }];
  });
  const next = "launch all hosts with the same --vxlan-port; running containers survive it";
  const code = "VXLAN_PORT_DIFFERS";
  const told = others.slice(0, NAMED_MAX).map(({ name, port }) => {
    const text = `${name} sends container traffic to UDP ${port}, this host to ${vxlanPort}`;
    return { code, text: `${text}: neither reaches the other's containers`, next };
  });
  const more = others.length - told.length;
  return more <= 0 ? told : [...told, { code, text: `${more} more peers like this`, next }];
}

/** In a few words why a network has this MTU: what limits it, and on which host. */
export function mtuReason(
  mtuBytes: number,
  { origin, row }: Offer,
  members: readonly Member[],
): string {
  if (mtuBytes > row.overlayMtuBytes) return "is being lowered";
  if (mtuBytes < row.overlayMtuBytes) return "given with the network, or is being raised";
  const host = members.find(({ id }) => id === origin)?.name ?? origin.slice(0, 8);
  const at = (vtep: string): string =>
    members.find(({ advertise, hosts = [] }) => advertise.host === vtep || hosts.includes(vtep))
      ?.name ?? vtep;
  const { cause, about, underlayMtuBytes } = row;
  switch (cause) {
    case "operator":
      return `--mtu on ${host}`;
    case "device":
      return `${about === "" ? "no device" : about} of ${host} has ${underlayMtuBytes}`;
    case "route":
      return `route from ${host} to ${at(about)} has ${underlayMtuBytes}`;
    case "path":
      return `path from ${host} to ${at(about)} passes ${underlayMtuBytes}`;
  }
}

/** Tunnels that carry nothing, or less than their routes say. */
export function tunnelProblems(
  members: readonly Member[],
  findings: readonly PathFinding[],
  vxlanPort: number,
): HealthProblem[] {
  const told = findings.flatMap(({ vtep, kind, passesBytes }): HealthProblem[] => {
    const member = members.find((one) => !one.self && one.advertise.host === vtep);
    if (member === undefined || member.state !== "alive") return [];
    const to = `${member.name} (${vtep})`;
    if (kind === "blocked") {
      const text = `gossip with ${to} passes, container traffic on UDP ${vxlanPort} does not`;
      const where = "nft list ruleset on both hosts, and what is between";
      const next = `let UDP ${vxlanPort} pass both ways: ${where}`;
      return [{ code: "TUNNEL_BLOCKED", text, next }];
    }
    if (kind === "narrow") {
      const cut = `larger packets are lost without a word`;
      const text = `${to} is reached by containers' packets up to ${passesBytes} bytes: ${cut}`;
      const next = `raise the MTU between the hosts; until then networks have ${passesBytes}`;
      return [{ code: "PATH_NARROW", text, next }];
    }
    return [];
  });
  const more = told.length - NAMED_MAX;
  const rest = { code: "TUNNEL_BLOCKED", text: `${more} more peers like this`, next: "see doctor" };
  return more <= 0 ? told : [...told.slice(0, NAMED_MAX), rest];
}

/** Checksums that the card, or what it is made of, gets wrong. */
export function offloadProblems(state: OffloadState, device: string): HealthProblem[] {
  if (state === "on") return [];
  const what = "checksums of container traffic are spoiled on their way out of this host";
  const card = device === "" ? "eth0" : device;
  if (state === "off") {
    const text = `${what}: they are computed by the kernel now, which is slower`;
    const next = `a newer driver or kernel; or ethtool -K ${card} tx-udp_tnl-segmentation off`;
    return [{ code: "OFFLOAD_BROKEN", text, next }];
  }
  const next = `ethtool -K ${card} tx off rx off on both hosts; then tsweave stop, tsweave launch`;
  return [{ code: "OFFLOAD_BROKEN", text: `${what}, or into the other`, next }];
}
