/**
 * The Docker side of the daemon: engine, ledger, drivers, plugin socket, and the default network
 * on the engine.
 *
 * Law: the plugin serves without the Docker API, which does not answer while a booting engine
 * starts containers; the default network is made as soon as the engine answers.
 */
import { isSandbox } from "../../dns/index.ts";
import { type Clock, type Log, messageOf, type Random, TsweaveError } from "../../mesh/index.ts";
import {
  type AddressBook,
  type CharterBook,
  createEngine,
  type Datapath,
  Docker,
  type DockerEngine,
  type Ledger,
  NetworkMaker,
  type NetworkPlan,
  type Publisher,
  type SandboxDns,
  servePlugin,
  underPluginName,
} from "../../overlay/index.ts";
import type { Stops } from "./stops.ts";

export interface DockerSideOptions {
  readonly dockerSocket: string;
  readonly pluginDir: string;
  readonly pluginName: string;
  readonly network: string;
  readonly subnet: string;
}

export interface DockerSide {
  readonly docker: Docker;
  readonly engine: DockerEngine;
  /** Keeps the engine's networks as the mesh has them, once the default network is there. */
  readonly maker: NetworkMaker;
  /** Makes the default network on the engine unless it is there. @throws TsweaveError */
  readonly ensureNetwork: () => Promise<void>;
  /** The engine's version as it last told, null before. */
  readonly version: () => string | null;
}

/** What uses a network, by name and subnet: names for people. */
export interface NetworkUsers {
  readonly here: (name: string, subnet: string) => readonly string[];
  readonly elsewhere: (name: string, subnet: string) => readonly string[];
}

interface DockerSidePorts {
  readonly ledger: Ledger;
  readonly addresses: AddressBook;
  readonly datapath: Datapath;
  readonly publisher: Publisher;
  readonly dns: SandboxDns;
  readonly plan: NetworkPlan;
  readonly charters: CharterBook;
  readonly users: NetworkUsers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stops: Stops;
}

const NETWORK_RETRY_MS = 2000;

/** Restores what the ledger holds, then serves the plugin socket. */
export async function openDocker(
  ports: DockerSidePorts,
  options: DockerSideOptions,
): Promise<DockerSide> {
  const { clock, stops } = ports;
  const log = ports.log.child({ part: "docker" });
  const engine = underPluginName(
    createEngine(options.dockerSocket, clock, log),
    options.pluginName,
  );
  const { users } = ports;
  const maker: NetworkMaker = new NetworkMaker(
    {
      book: ports.charters,
      engine,
      clock,
      log,
      usersHere: (id) => docker.usersOf(id, users.here),
      usersElsewhere: users.elsewhere,
      isHeld: (name, subnet) => docker.holds(name, subnet),
      replan: () => docker.replan(),
    },
    { driver: "tsweave", defaultName: options.network },
  );
  const docker: Docker = new Docker(
    { ...ports, log, engine, sandboxes: { exists: isSandbox }, register: maker },
    { defaultNetwork: { name: options.network, subnet: options.subnet } },
  );
  await docker.start();
  stops.add("docker", () => docker.stop());
  const plugin = await servePlugin(options.pluginDir, docker, log);
  stops.add("plugin", () => plugin.close());
  stops.add("networks", () => maker.stop());
  const told = followVersion(engine, ports);
  return {
    docker,
    engine,
    maker,
    ensureNetwork: async () => {
      await ensureNetwork(engine, options);
      maker.start();
      told.version ??= await engine.version();
    },
    version: () => told.version,
  };
}

/** Asks for the version after each connection: an upgrade restarts the engine. */
function followVersion(
  engine: DockerEngine,
  { log, stops }: { log: Log; stops: Stops },
): { version: string | null } {
  const told: { version: string | null } = { version: null };
  const cancel = engine.onEvent(({ type }) => {
    if (type !== "connected") return;
    engine.version().then(
      (version) => {
        told.version = version;
      },
      (error: unknown) => log.info({ error: messageOf(error) }, "Docker tells no version"),
    );
  });
  stops.add("engine version", cancel);
  return told;
}

/** Keeps trying in the background until the default network is there. */
export function ensureNetworkEventually(
  side: DockerSide,
  ports: { clock: Clock; log: Log; stops: Stops },
): void {
  let cancel = (): void => undefined;
  let stopped = false;
  const attempt = (): void => {
    side.ensureNetwork().catch((error: unknown) => {
      ports.log.info({ error: messageOf(error) }, "the default network waits for Docker");
      if (!stopped) cancel = ports.clock.timer("default network", NETWORK_RETRY_MS, attempt);
    });
  };
  ports.stops.add("default network", () => {
    stopped = true;
    cancel();
  });
  attempt();
}

async function ensureNetwork(engine: DockerEngine, options: DockerSideOptions): Promise<void> {
  const { network: name, subnet } = options;
  const networks = await engine.networks();
  const found = networks.find((network) => network.name === name);
  if (found === undefined) {
    const other = networks.find((one) => one.driver === "tsweave" && one.subnets.includes(subnet));
    if (other !== undefined) {
      throw new TsweaveError("CONFIG", `Docker has network ${other.name} on ${subnet}`, {
        hint: `launch with --network ${other.name}, or docker network rm ${other.name} first`,
      });
    }
    const spec = { name, driver: "tsweave", subnet, internal: false, options: {} };
    await engine.createNetwork(spec);
    return;
  }
  if (found.driver !== "tsweave") {
    throw new TsweaveError("CONFIG", `Docker has a ${found.driver} network named ${name}`, {
      hint: `docker network rm ${name}, or launch with another --network`,
    });
  }
  if (!found.subnets.includes(subnet)) {
    throw new TsweaveError("CONFIG", `network ${name} has subnet ${found.subnets.join(", ")}`, {
      hint: `launch with --ipalloc-range ${found.subnets[0]}, or docker network rm ${name} first`,
    });
  }
}
