/** The door of mesh: the only file other folders import from here. */
export * from "./errors.ts";
export { nextIdentity } from "./identity.ts";
export * from "./limits.ts";
export type * from "./membership/membership.ts";
export { SWIM_TIMING } from "./membership/timing.ts";
export { MeshNode } from "./node.ts";
export type * from "./ports.ts";
export { Presence } from "./presence.ts";
export { TypedTable } from "./tables/typed-table.ts";
export * from "./tables/types.ts";
export { decodeWire, encodeWire } from "./wire/msgpack.ts";
export { readArray, readBoolean, readBytes, readInteger, readString } from "./wire/read.ts";
