/**
 * Keeps containers from the hosts' own ports: VXLAN, and the mesh's gossip.
 *
 * A container reaches both on its own host and, behind the NAT of its gateway bridge, on every
 * other one, with the host's address as the source: whoever can open a socket in it could put
 * frames of its choice into any network, whatever its own are, and speak for a peer in a mesh
 * without a password. Nothing legitimate comes that way.
 *
 * Law: own table only; what comes from any other device, tunnels of hosts behind this one
 * included, is none of its business.
 */

export const GUARD_TABLE = "inet tsweave_guard";

/** Bridges that connect containers of our networks with the outside. */
const GATEWAY_BRIDGES = ["docker_gwbridge", "tsweave_gw"];

/** The host's ports that no container may speak to. */
export interface GuardedPorts {
  readonly vxlan: number;
  /** UDP and TCP. */
  readonly gossip: number;
}

/** Script for `nft -f -` that makes the table anew, whether it was there or not, in one step. */
export function guardText(ports: GuardedPorts): string {
  return `${GUARD_GONE}table ${GUARD_TABLE} {
	chain from_containers {
		type filter hook prerouting priority raw; policy accept;
		${rules(ports).join("\n\t\t")}
	}
}
`;
}

/** Script that removes the table, whether it is there or not; nft 1.0.6 has no `destroy`. */
export const GUARD_GONE = `table ${GUARD_TABLE}\ndelete table ${GUARD_TABLE}\n`;

/** Whether `nft list table` shows the table as guardText makes it. */
export function isGuarded(listing: string, ports: GuardedPorts): boolean {
  const seen = ordered(listing);
  return (
    seen.includes("hook prerouting") && rules(ports).every((rule) => seen.includes(ordered(rule)))
  );
}

/** nft lists what a set holds in any order. */
function ordered(text: string): string {
  return text.replace(/\{ ([^{}\n]*) \}/g, (_all, names: string) => {
    return `{ ${names.split(", ").sort().join(", ")} }`;
  });
}

function rules({ vxlan, gossip }: GuardedPorts): string[] {
  const names = GATEWAY_BRIDGES.map((name) => `"${name}"`).join(", ");
  const ports = [`udp dport ${vxlan}`, `udp dport ${gossip}`, `tcp dport ${gossip}`];
  return ports.map((port) => `iifname { ${names} } ${port} drop`);
}
