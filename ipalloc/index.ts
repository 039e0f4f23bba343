/** The door of ipalloc: the only file other folders import from here. */
export { formatAddress, parseAddress } from "./address.ts";
export type { AllocateOptions } from "./allocator.ts";
export {
  addressWithin,
  type Cidr,
  containsCidr,
  overlaps,
  parseCidr,
  usableOf,
} from "./cidr.ts";
export { IpAlloc, type IpAllocPorts, type LeaseInfo } from "./ip-alloc.ts";
export type { IpAllocStatus, Problem } from "./status.ts";
