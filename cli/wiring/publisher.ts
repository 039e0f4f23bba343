/** This host's networks, endpoints and names written as rows of the replicated tables. */
import type { Tables } from "../../mesh/index.ts";
import {
  endpointToWire,
  type LocalEndpoint,
  type Network,
  namesToWire,
  networkToWire,
  type Publisher,
} from "../../overlay/index.ts";

/** `vtepNow` is the underlay address that other hosts send this host's frames to, as it is now. */
export function tablePublisher(tables: Tables, vtepNow: () => string): Publisher {
  return {
    network: (network: Network) => tables.put("networks", network.name, networkToWire(network)),
    networkGone: (name) => tables.remove("networks", name),
    endpoint: ({ id, network, ip, mac }: LocalEndpoint) =>
      tables.put("endpoints", id, endpointToWire({ network, ip, mac, vtep: vtepNow() })),
    endpointGone: (id) => {
      tables.remove("names", id);
      tables.remove("endpoints", id);
    },
    names: (id, row) => tables.put("names", id, namesToWire(row)),
    announce: async (deadlineMs) => await tables.announce(deadlineMs),
  };
}
