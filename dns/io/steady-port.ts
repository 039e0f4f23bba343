/**
 * The port that a sandbox's lookups are sent to, the same in each life of the daemon: the kernel
 * goes on translating a busy UDP flow by the rule its first packet met, so a client that keeps its
 * socket (nginx, HAProxy, c-ares) would ask a dead port for as long as it asks.
 *
 * Law: a wish, not a need. Whoever has the port already keeps it, and the kernel chooses another.
 */

/** Below the kernel's own choices (ip(7), ip_local_port_range) and above what services have. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;

/** The UDP port inside the sandbox at `key`. */
export function steadyPort(key: string): number {
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return FIRST_PORT + (hash % PORTS);
}
