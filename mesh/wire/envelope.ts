/**
 * The first four bytes of everything between peers: two of magic, the protocol version, the kind;
 * the kind's highest bit says that the rest is sealed.
 *
 * Law: packets of another version or kind are counted and dropped, never guessed at.
 */
import type { HostPort } from "../ports.ts";

/** Changes only when old peers could not even ignore what new ones send. */
export const PROTOCOL_VERSION = 1;

/** Datagrams below 16, stream frames from 16 on. A number is never given a second meaning. */
export const KINDS = {
  membership: 1,
  tables: 2,
  notice: 3,
  challenge: 4,
  proof: 5,
  request: 16,
  reply: 17,
} as const;

export const SEALED_BIT = 0x80;
export const ENVELOPE_BYTES = 4;
const MAGIC = [0x74, 0x77] as const;

/** The envelope of a kind, with SEALED_BIT where the rest is sealed. */
export function envelope(kind: number): Buffer {
  return Buffer.from([...MAGIC, PROTOCOL_VERSION, kind]);
}

/** The kind byte; undefined for anything that is not this protocol in this version. */
export function kindOf(packet: Uint8Array): number | undefined {
  const [magic0, magic1, version, kind] = packet;
  const isOurs = magic0 === MAGIC[0] && magic1 === MAGIC[1] && version === PROTOCOL_VERSION;
  return isOurs ? kind : undefined;
}

/** Where something came from, as a map key and as people read it. */
export function placeOf({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
