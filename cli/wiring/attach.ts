/**
 * Endpoints without Docker: the attach machinery on this host's namespaces, beside the Docker
 * driver and on the same ports.
 */
import type { PeerId } from "../../mesh/index.ts";
import {
  type AddressBook,
  Attach,
  createNamespaces,
  type DirectPaths,
  type Ledger,
  type NetworkPlan,
  type Publisher,
  type Reconciler,
  type SandboxDns,
  wantedOf,
} from "../../overlay/index.ts";
import type { Base } from "./base.ts";
import type { DockerSide } from "./docker.ts";
import type { NetworksPorts } from "./networks.ts";

/** What has local endpoints on this host. */
export interface Sides {
  readonly docker?: DockerSide;
  readonly attach?: Attach;
  readonly direct?: DirectPaths;
}

/** What Docker's driver and attachments share. */
export interface HostPorts {
  readonly ledger: Ledger;
  readonly addresses: AddressBook;
  readonly datapath: Reconciler;
  readonly publisher: Publisher;
  readonly dns: SandboxDns;
  readonly plan: NetworkPlan;
}

/** How long a container is asked for. */
const CONTAINER_ASK_MS = 3000;

/** Restores what the ledger holds. `sides.docker` is read when a container is named. */
export async function openAttach(
  { config, clock, random, log, stops, tools }: Base,
  ports: HostPorts,
  { rows, charters, self }: Pick<NetworksPorts, "rows" | "charters"> & { readonly self: PeerId },
  sides: Sides,
): Promise<Attach> {
  const attach = new Attach(
    {
      ...ports,
      namespaces: createNamespaces(tools),
      // Where no host has it on an engine, the mesh may still have it.
      known: (name) => rows.networkByName(name) ?? wantedOf(charters.charter(name)),
      subnets: () => [config.ipallocRange, ...rows.networkList().map(({ row }) => row.subnet)],
      findContainer: async (word) => await sides.docker?.engine.container(word, CONTAINER_ASK_MS),
      kernel: () => ports.datapath.status(),
      clock,
      random,
      log: log.child({ part: "attach" }),
    },
    {
      self,
      defaultNetwork: { name: config.network, subnet: config.ipallocRange },
      dns: config.dns,
    },
  );
  await attach.start();
  stops.add("attachments", () => attach.stop());
  return attach;
}
