/**
 * Keeps VXLAN packets that a container made from entering the networks.
 *
 * A container reaches UDP 4789 of its own host and, behind the NAT of its gateway bridge, of every
 * other one, with the host's address as the source: whoever can open a socket in it could put
 * frames of its choice into any network, whatever its own are. Nothing legitimate comes that way.
 *
 * Law: own table only; what comes from any other device, tunnels of hosts behind this one
 * included, is none of its business.
 */

export const GUARD_TABLE = "inet tsweave_guard";

/** Bridges that connect containers of our networks with the outside. */
const GATEWAY_BRIDGES = ["docker_gwbridge", "tsweave_gw"];

/** Script for `nft -f -` that makes the table anew, whether it was there or not, in one step. */
export function guardText(vxlanPort: number): string {
  return `${GUARD_GONE}table ${GUARD_TABLE} {
	chain from_containers {
		type filter hook prerouting priority raw; policy accept;
		${ruleText(vxlanPort)}
	}
}
`;
}

/** Script that removes the table, whether it is there or not; nft 1.0.6 has no `destroy`. */
export const GUARD_GONE = `table ${GUARD_TABLE}\ndelete table ${GUARD_TABLE}\n`;

/** Whether `nft list table` shows the table as guardText makes it. */
export function isGuarded(listing: string, vxlanPort: number): boolean {
  return listing.includes("hook prerouting") && listing.includes(ruleText(vxlanPort));
}

function ruleText(vxlanPort: number): string {
  const names = GATEWAY_BRIDGES.map((name) => `"${name}"`).join(", ");
  return `iifname { ${names} } udp dport ${vxlanPort} drop`;
}
