/**
 * The Docker driver's ports where attachments share its networks: what the driver gives up stays as
 * long as an attachment needs it.
 */
import type { AddressBook, Datapath, Publisher } from "../docker/ports.ts";
import type { Ledger } from "../ledger.ts";

export interface SharedPorts {
  readonly addresses: AddressBook;
  readonly datapath: Datapath;
  readonly publisher: Publisher;
}

/** `ports`, with the networks that attachments use kept out of the driver's reach. */
export function sharedPorts(ports: SharedPorts, ledger: Ledger): SharedPorts {
  const { addresses, datapath, publisher } = ports;
  const own = () => ledger.ownNetworks();
  const ownSubnets = () => new Set(own().map(({ subnet }) => subnet));
  return {
    addresses: {
      ...addresses,
      closePool: async (subnet) => {
        if (!ownSubnets().has(subnet)) await addresses.closePool(subnet);
      },
      pools: () => {
        const engine = new Set(ledger.networks().map(({ subnet }) => subnet));
        const shared = ownSubnets();
        return addresses.pools().filter((subnet) => engine.has(subnet) || !shared.has(subnet));
      },
    },
    datapath: {
      plug: (endpoint, network) => datapath.plug(endpoint, network),
      unplug: (id, network) => datapath.unplug(id, network),
      request: (reason) => datapath.request(reason),
      removeNetwork: async (network) => {
        if (!own().some(({ id }) => id === network.id)) await datapath.removeNetwork(network);
      },
    },
    publisher: {
      ...publisher,
      networkGone: (name) => {
        if (!own().some((network) => network.name === name)) publisher.networkGone(name);
      },
    },
  };
}
