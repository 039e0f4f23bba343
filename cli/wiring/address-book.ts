/** ipalloc as the Docker driver knows it. */
import type { IpAlloc } from "../../ipalloc/index.ts";
import type { AddressBook } from "../../overlay/index.ts";

export function addressBook(alloc: IpAlloc): AddressBook {
  return {
    openPool: async (subnet, gateway) => await alloc.openPool(subnet, gateway),
    closePool: async (subnet) => await alloc.closePool(subnet),
    allocate: async (subnet, key, { within }) =>
      await alloc.allocate(subnet, key, within === undefined ? {} : { within }),
    claim: async (subnet, key, ip, options) => {
      await alloc.claim(subnet, key, ip, options);
    },
    adopt: async (subnet, key, ip) => await alloc.adopt(subnet, key, ip),
    reserve: async (subnet, ip) => await alloc.reserve(subnet, ip),
    release: async (subnet, ip) => await alloc.release(subnet, ip),
    leases: (subnet) => alloc.leases().filter(({ cidr }) => cidr === subnet),
    pools: () =>
      alloc
        .status()
        .pools.filter(({ open }) => open)
        .map(({ subnet }) => subnet),
  };
}
