/** How an address with a port is written: for people, in logs, and as the key of a map. */
import type { HostPort } from "./ports.ts";

/** `10.0.0.1:6783`, `[fd00::1]:6783`. */
export function addressKey({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
