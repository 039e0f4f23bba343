/** The door of mesh: the only file other folders import from here. */
export * from "./errors.ts";
export * from "./limits.ts";
export type * from "./membership/membership.ts";
export type * from "./ports.ts";
export * from "./tables/types.ts";
