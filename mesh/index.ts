/** The door of mesh: the only file other folders import from here. */
export { Contacts } from "./contacts.ts";
export * from "./errors.ts";
export { addressesOf, addressKey as formatHostPort, hostsOf } from "./host-port.ts";
export { nextIdentity } from "./identity.ts";
export * from "./limits.ts";
export type * from "./membership/membership.ts";
export { MeshNode } from "./node.ts";
export type * from "./ports.ts";
export { Presence } from "./presence.ts";
export { settleStateFormat } from "./state-format.ts";
export { type TypedChange, type TypedRow, TypedTable } from "./tables/typed-table.ts";
export * from "./tables/types.ts";
export { Keyring, keyFromPassword, keyFromSecret } from "./wire/keyring.ts";
export { openKeyring, type RingKeeper } from "./wire/keyring-store.ts";
export { decodeWire, encodeWire } from "./wire/msgpack.ts";
export { readArray, readBoolean, readBytes, readInteger, readString } from "./wire/read.ts";
export { Seal } from "./wire/seal.ts";
export type { Stranger } from "./wire/seal-strangers.ts";
