/**
 * The nft tables of the direct path, as text. Pure.
 *
 * Packets move between gw0's host end and the underlay device in the ingress hooks, before the
 * host's IP stack: no route, no forwarding, no rp_filter, and none of the host's chains, whose
 * FORWARD policy Docker sets to drop, sees them. A frame goes to the MAC of the peer's host; what
 * arrives from it is given the MACs that follow from its IP addresses.
 *
 * Laws: own tables only. What is claimed on arrival comes from the MAC of a peer, to this host's,
 * within one network; all else goes on as if the table were not there. Each script is one
 * transaction: no packet meets half a table.
 */
import type { DirectNetwork } from "./model.ts";
import { hostEnd } from "./model.ts";

export const DIRECT_TABLE = "netdev tsweave_direct";
export const FORGED_TABLE = "inet tsweave_direct";
export const PROBE_TABLE = "netdev tsweave_probe";

/** Devices through which the daemon's probes enter and leave the tables. */
export const PROBE_END = "tswp0";
export const PROBE_WAY = "tswp1";
/** Class E, of 240.116.0.0/16: probes never leave the host under these addresses. */
export const PROBE_SOURCE = "240.116.255.1";
/** UDP port that probes are sent to on the segment; nobody listens there. */
export const PROBE_PORT = 6785;

/** One underlay device. */
export interface DirectDevice {
  readonly name: string;
  readonly mac: string;
  /** MACs whose packets are let in. BOUNDED: DIRECT_PEERS_MAX. */
  readonly from: readonly string[];
  /** Container MAC → MAC of its host. BOUNDED: endpoints of the mesh. */
  readonly next: ReadonlyMap<string, string>;
}

const RESTORE_DESTINATION = "@ll,0,16 set 0x0242 @ll,16,32 set @nh,128,32";
const RESTORE_SOURCE = "@ll,48,16 set 0x0242 @ll,64,32 set @nh,96,32";

/** Removes a table, whether it is there or not. */
export function goneText(table: string): string {
  return `table ${table}\ndelete table ${table}\n`;
}

/** Makes the tables that carry packets anew. */
export function directText(
  networks: readonly DirectNetwork[],
  devices: readonly DirectDevice[],
): string {
  const lines = [goneText(DIRECT_TABLE), goneText(FORGED_TABLE), `table ${DIRECT_TABLE} {`];
  for (const [at, { from, next }] of devices.entries()) {
    const pairs = [...next].map(([mac, host]) => `${mac} : ${host}`);
    lines.push(`map next${at} { type ether_addr : ether_addr; ${elements(pairs)} }`);
    lines.push(`set from${at} { type ether_addr; ${elements(from)} }`);
  }
  for (const network of networks) lines.push(outChain(network, devices));
  for (const [at, device] of devices.entries()) lines.push(inChain(at, device, networks));
  lines.push("}", forgedTable(networks, devices));
  return `${lines.join("\n")}\n`;
}

/** Changes in `next` of the devices, in their order: keys to take away, pairs to put. */
export interface NextChange {
  readonly gone: readonly string[];
  readonly put: readonly (readonly [mac: string, host: string])[];
}

/** Changes single elements; what is gone must be there. Empty without changes. */
export function nextText(changes: readonly NextChange[]): string {
  return changes
    .flatMap(({ gone, put }, at) => {
      const pairs = put.map(([mac, host]) => `${mac} : ${host}`);
      return [
        gone.length === 0
          ? ""
          : `delete element ${DIRECT_TABLE} next${at} { ${gone.join(", ")} }\n`,
        pairs.length === 0 ? "" : `add element ${DIRECT_TABLE} next${at} { ${pairs.join(", ")} }\n`,
      ];
    })
    .join("");
}

/** From containers: an address of the gateway is nobody's there, and would pass for a probe. */
function outChain(network: DirectNetwork, devices: readonly DirectDevice[]): string {
  const { subnet, gateway, netns } = network;
  const device = hostEnd(netns);
  const inside = `ip saddr ${subnet} ip daddr ${subnet}`;
  const rules = devices.map(
    ({ name, mac }, at) =>
      `${inside} ether daddr set ether daddr map @next${at} ether saddr set ${mac} ` +
      `counter fwd to "${name}"`,
  );
  return [
    `chain out_${device} {`,
    `type filter hook ingress device "${device}" priority 0; policy accept;`,
    `ip saddr ${gateway} drop`,
    `ip daddr ${gateway} drop`,
    ...rules,
    "drop",
    "}",
  ].join("\n");
}

function inChain(at: number, device: DirectDevice, networks: readonly DirectNetwork[]): string {
  const rules = networks.map(
    ({ subnet, netns }) =>
      `ip saddr ${subnet} ip daddr ${subnet} ether daddr ${device.mac} ether saddr @from${at} ` +
      `${RESTORE_DESTINATION} ${RESTORE_SOURCE} counter fwd to "${hostEnd(netns)}"`,
  );
  const hook = `type filter hook ingress device "${device.name}" priority 0; policy accept;`;
  return [`chain in${at} {`, hook, ...rules, "}"].join("\n");
}

/** Direct packets never pass IP forwarding: what does, with such addresses, a container forged. */
function forgedTable(networks: readonly DirectNetwork[], devices: readonly DirectDevice[]): string {
  const names = devices.map(({ name }) => `"${name}"`).join(", ");
  const rules = networks.map(
    ({ subnet }) => `ip saddr ${subnet} ip daddr ${subnet} oifname { ${names} } counter drop`,
  );
  const hook = "type filter hook forward priority -10; policy accept;";
  return [`table ${FORGED_TABLE} {`, "chain forged {", hook, ...rules, "}", "}"].join("\n");
}

function elements(list: readonly string[]): string {
  return list.length === 0 ? "" : `elements = { ${list.join(", ")} }`;
}

/** A peer as probes reach it. */
export interface ProbePeer {
  readonly mac: string;
  /** Probe address by the number of the network; see probeAddress. */
  readonly slot: number;
}

export interface ProbeNetwork extends DirectNetwork {
  readonly slot: number;
}

/** What stands for a peer on a network, on this host only. */
export function probeAddress(networkSlot: number, peerSlot: number): string {
  return `240.116.${(networkSlot << 2) | (peerSlot >> 8)}.${peerSlot & 255}`;
}

export interface ProbeSide {
  /** MAC of PROBE_END. */
  readonly mac: string;
  /** Port of the daemon's socket. */
  readonly port: number;
}

/**
 * Makes the table of probes anew. A probe is a packet from a network's gateway address to the
 * same, so that the segment is asked about just such addresses; the peer's kernel turns it back
 * without its daemon. Its payload begins with the VNI.
 */
export function probeText(
  networks: readonly ProbeNetwork[],
  devices: readonly {
    readonly name: string;
    readonly mac: string;
    readonly peers: readonly ProbePeer[];
  }[],
  own: ProbeSide,
): string {
  const lines = [goneText(PROBE_TABLE), `table ${PROBE_TABLE} {`];
  const asking: string[] = [];
  for (const [at, device] of devices.entries()) {
    const macs = device.peers.map(({ mac }) => mac);
    lines.push(`set peers${at} { type ether_addr; ${elements(macs)} }`);
    const rules: string[] = [];
    for (const network of networks) {
      const name = `${network.slot}_${at}`;
      const pairs = device.peers.map(({ mac, slot }) => [mac, probeAddress(network.slot, slot)]);
      const ask = pairs.map(([mac, ip]) => `${ip} : ${mac}`);
      const answer = pairs.map(([mac, ip]) => `${mac} : ${ip}`);
      lines.push(`map ask${name} { type ipv4_addr : ether_addr; ${elements(ask)} }`);
      lines.push(`map answer${name} { type ether_addr : ipv4_addr; ${elements(answer)} }`);
      asking.push(askRule(network, name, device));
      rules.push(turnRule(network, at, device), answerRule(network, name, device, own));
    }
    const hook = `type filter hook ingress device "${device.name}" priority -10; policy accept;`;
    lines.push(`chain in${at} {`, hook, ...rules, "}");
  }
  const hook = `type filter hook ingress device "${PROBE_WAY}" priority 0; policy accept;`;
  lines.push("chain ask {", hook, ...asking, "drop", "}", "}");
  return `${lines.join("\n")}\n`;
}

interface Wire {
  readonly name: string;
  readonly mac: string;
}

function askRule({ gateway }: DirectNetwork, name: string, device: Wire): string {
  return (
    `udp dport ${PROBE_PORT} ether daddr set ip daddr map @ask${name} ether saddr set ` +
    `${device.mac} ip saddr set ${gateway} ip daddr set ${gateway} fwd to "${device.name}"`
  );
}

function probeMatch({ gateway, vni }: DirectNetwork, { mac }: Wire): string {
  return `ip saddr ${gateway} ip daddr ${gateway} ether daddr ${mac} @th,64,32 ${vni}`;
}

function turnRule(network: DirectNetwork, at: number, device: Wire): string {
  return (
    `${probeMatch(network, device)} udp dport ${PROBE_PORT} ether saddr @peers${at} ` +
    `ether daddr set ether saddr ether saddr set ${device.mac} udp dport set udp sport ` +
    `udp sport set ${PROBE_PORT} fwd to "${device.name}"`
  );
}

function answerRule(network: DirectNetwork, name: string, device: Wire, own: ProbeSide): string {
  return (
    `${probeMatch(network, device)} udp sport ${PROBE_PORT} udp dport ${own.port} ` +
    `ip saddr set ether saddr map @answer${name} ip daddr set ${PROBE_SOURCE} ` +
    `ether daddr set ${own.mac} fwd to "${PROBE_WAY}"`
  );
}
