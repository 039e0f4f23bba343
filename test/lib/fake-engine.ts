/** A Docker Engine's API in memory, which a test can switch off, hang and change. */
import {
  type Cancel,
  type EngineContainer,
  type EngineEvent,
  TsweaveError,
} from "../../mesh/index.ts";
import type { DockerEngine, DockerNetwork } from "../../overlay/index.ts";

type ListedEndpoint = DockerNetwork["endpoints"][number];
type Attachment = EngineContainer["networks"][number];

export interface FakeContainer {
  readonly id: string;
  name: string;
  running: boolean;
  /** Start is over: only then is an inspect answered. */
  started: boolean;
  hostname: string;
  sandboxKey: string;
  networks: Attachment[];
  ports?: string[];
  isUnhealthy?: boolean;
}

/** A network of ours as an engine lists it. */
export function dockerNetwork(
  network: Partial<DockerNetwork> & Pick<DockerNetwork, "id" | "name">,
): DockerNetwork {
  return {
    driver: "tsweave",
    ipamDriver: "tsweave",
    internal: false,
    subnets: [],
    options: {},
    labels: {},
    ipRange: "",
    gateway: "",
    auxiliary: [],
    endpoints: [],
    ...network,
  };
}

export class FakeEngine implements DockerEngine {
  /** `down`: refuses connections. `hung`: never answers. */
  mode: "up" | "down" | "hung" = "up";
  readonly nets = new Map<string, DockerNetwork>();
  readonly containers = new Map<string, FakeContainer>();
  /** Calls as `method argument`, for assertions. */
  readonly calls: string[] = [];
  /** Runs before a call is answered: what happens on the host meanwhile. */
  meanwhile: ((call: string) => Promise<void>) | undefined;
  readonly #receivers = new Set<(event: EngineEvent) => void>();

  async version(): Promise<string> {
    await this.#answer("version");
    return "20.10.24";
  }

  async networks(): Promise<DockerNetwork[]> {
    await this.#answer("networks");
    return [...this.nets.values()].map((network) => ({ ...network, endpoints: [] }));
  }

  async network(id: string): Promise<DockerNetwork | undefined> {
    await this.#answer(`network ${id}`);
    return this.nets.get(id);
  }

  async createNetwork(spec: Parameters<DockerEngine["createNetwork"]>[0]): Promise<string> {
    await this.#answer(`createNetwork ${spec.name}`);
    throw new TsweaveError("DOCKER_REFUSED", "this fake makes networks through the plugin only");
  }

  async removeNetwork(id: string): Promise<void> {
    await this.#answer(`removeNetwork ${id}`);
    this.nets.delete(id);
  }

  async container(idOrName: string): Promise<EngineContainer | undefined> {
    await this.#answer(`container ${idOrName}`);
    const found =
      this.containers.get(idOrName) ??
      [...this.containers.values()].find((one) => one.name === idOrName);
    while (found?.running && !found.started) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return found === undefined ? undefined : { ...found, networks: [...found.networks] };
  }

  async running(): Promise<string[]> {
    await this.#answer("running");
    return [...this.containers.values()].filter((one) => one.running).map(({ id }) => id);
  }

  onEvent(receive: (event: EngineEvent) => void): Cancel {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  }

  emit(event: Partial<EngineEvent> & Pick<EngineEvent, "type">): void {
    const whole = { action: "", id: "", attributes: {}, ...event };
    for (const receive of this.#receivers) receive(whole);
  }

  addNetwork(network: Partial<DockerNetwork> & Pick<DockerNetwork, "id" | "name">): void {
    this.nets.set(network.id, dockerNetwork(network));
  }

  list(networkId: string, endpoint: ListedEndpoint): void {
    const network = this.nets.get(networkId);
    if (network === undefined) throw new Error(`no network ${networkId}`);
    const others = network.endpoints.filter((one) => one.endpointId !== endpoint.endpointId);
    this.nets.set(networkId, { ...network, endpoints: [...others, endpoint] });
  }

  unlist(networkId: string, endpointId: string): void {
    const network = this.nets.get(networkId);
    if (network === undefined) return;
    const endpoints = network.endpoints.filter((one) => one.endpointId !== endpointId);
    this.nets.set(networkId, { ...network, endpoints });
  }

  async #answer(call: string): Promise<void> {
    this.calls.push(call);
    await this.meanwhile?.(call);
    if (this.mode === "hung") await new Promise<never>(() => undefined);
    if (this.mode === "down") throw new TsweaveError("DOCKER_UNREACHABLE", "connect ECONNREFUSED");
  }
}
