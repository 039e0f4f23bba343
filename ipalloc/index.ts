/** The door of ipalloc: the only file other folders import from here. */
export { formatAddress, parseAddress } from "./address.ts";
export {
  addressWithin,
  type Cidr,
  containsCidr,
  overlaps,
  parseCidr,
  usableOf,
} from "./cidr.ts";
export type * from "./departures.ts";
export { checkInitCount, type InitMode, parseInitMode } from "./init-mode.ts";
export { IpAlloc } from "./ip-alloc.ts";
