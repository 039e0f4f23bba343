/** Addresses with a port: how one is written, for people and as a key, and which a peer has. */
import type { PeerMeta } from "./membership/membership.ts";
import type { HostPort } from "./ports.ts";

/** `10.0.0.1:6783`, `[fd00::1]:6783`. */
export function addressKey({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** All hosts of a peer in its own order. */
export function hostsOf(meta: Pick<PeerMeta, "advertise" | "hosts">): readonly string[] {
  return meta.hosts ?? [meta.advertise.host];
}

/** All addresses of a peer in its own order. */
export function addressesOf(meta: Pick<PeerMeta, "advertise" | "hosts">): HostPort[] {
  return hostsOf(meta).map((host) => ({ host, port: meta.advertise.port }));
}
