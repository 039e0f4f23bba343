/**
 * The nft redirect of one sandbox, as text. Kept apart and free of imports, because the helper
 * process starts as fast as what it loads.
 *
 * Law: one table of our own, replaced in one transaction, ahead of Docker's rules at priority
 * -100; lookups from the exempt port pass it and meet Docker's.
 */
import type { Server } from "node:net";

export const TABLE = "ip tsweave_dns";

/** Ports inside the sandbox that the redirect names. */
export interface HookPorts {
  readonly udp: number | string;
  readonly tcp: number | string;
  readonly upstream: number | string;
}

/** What the Perl helper replaces by the ports it got. */
export const PORT_MARKS: HookPorts = {
  udp: "UDP_PORT",
  tcp: "TCP_PORT",
  upstream: "UPSTREAM_PORT",
};

/** Works whether the table was there or not; nft 1.0.6 has no `destroy`. */
export const REMOVE_TABLE = `table ${TABLE}\ndelete table ${TABLE}\n`;

/** The whole batch for `nft -f -`. */
export function hookRules(ports: HookPorts): string {
  const resolver = "ip daddr 127.0.0.11";
  return `${REMOVE_TABLE}table ${TABLE} {
  chain out {
    type nat hook output priority -110; policy accept;
    ${resolver} udp dport 53 udp sport != ${ports.upstream} dnat to 127.0.0.11:${ports.udp}
    ${resolver} tcp dport 53 dnat to 127.0.0.11:${ports.tcp}
  }
}
`;
}

/** The port that a server listens on; 0 if on none. */
export function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

/** Debian keeps nft and nsenter where a service's PATH may not look. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin` };
}
