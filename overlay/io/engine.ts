/** The Engine port on the Docker Engine's HTTP API. */
import { type Clock, type Log, TIMES, TsweaveError } from "../../mesh/index.ts";
import { fieldsOf, text } from "../docker/fields.ts";
import type { DockerEngine } from "../docker/ports.ts";
import { EngineEvents } from "./engine-events.ts";
import { EngineHttp, type Exchange } from "./engine-http.ts";
import { readContainer, readIds, readNetwork } from "./engine-shapes.ts";

/**
 * An engine behind a unix socket. Opens nothing before the first call. Every call rejects with
 * DOCKER_UNREACHABLE after its deadline, or DOCKER_REFUSED with the engine's own words.
 */
export function createEngine(socketPath: string, clock: Clock, log: Log): DockerEngine {
  const http = new EngineHttp(socketPath, clock);
  const events = new EngineEvents(http, clock, log);
  const call = async (
    method: Exchange["method"],
    path: string,
    options: { body?: unknown; deadlineMs?: number } = {},
  ): Promise<unknown> =>
    await http.exchange({ method, path, deadlineMs: TIMES.engineCallMs, ...options });
  const get = async (path: string, deadlineMs: number = TIMES.engineCallMs) =>
    await call("GET", path, { deadlineMs });

  return {
    version: async () => text(fieldsOf("version", await get("/version")), "Version"),
    networks: async () => list(await get("/networks")).map(readNetwork),
    network: async (id, deadlineMs) => {
      const answer = await get(`/networks/${encodeURIComponent(id)}`, deadlineMs);
      return answer === undefined ? undefined : readNetwork(answer);
    },
    createNetwork: async (spec) => {
      const body = networkBody(spec);
      const answer = await call("POST", "/networks/create", { body, deadlineMs: CREATE_MS });
      return text(fieldsOf("network", answer), "Id");
    },
    removeNetwork: async (id) => {
      await call("DELETE", `/networks/${encodeURIComponent(id)}`);
    },
    container: async (idOrName, deadlineMs) => {
      const answer = await get(`/containers/${encodeURIComponent(idOrName)}/json`, deadlineMs);
      return answer === undefined ? undefined : readContainer(answer);
    },
    running: async () => readIds(await get("/containers/json")),
    onEvent: (receive) => events.subscribe(receive),
  };
}

/** Creating calls our own plugin, which may wait for the mesh to be founded. */
const CREATE_MS = 2 * TIMES.pluginCallMs;

/** An explicit subnet: without one Docker refuses `--ip`, and asks for pools in a loop. */
function networkBody(spec: Parameters<DockerEngine["createNetwork"]>[0]): object {
  const { gateway = "", ipRange = "", auxiliary = [], labels = {} } = spec;
  const reserved = Object.fromEntries(auxiliary.map((ip, at) => [`reserved${at}`, ip]));
  const config = {
    Subnet: spec.subnet,
    ...(gateway === "" ? {} : { Gateway: gateway }),
    ...(ipRange === "" ? {} : { IPRange: ipRange }),
    ...(auxiliary.length === 0 ? {} : { AuxiliaryAddresses: reserved }),
  };
  return {
    Name: spec.name,
    CheckDuplicate: true,
    Driver: spec.driver,
    Internal: spec.internal,
    Options: spec.options,
    Labels: labels,
    IPAM: { Driver: spec.driver, Config: [config] },
  };
}

function list(answer: unknown): unknown[] {
  if (Array.isArray(answer)) return answer;
  throw new TsweaveError("DOCKER_REFUSED", "Docker's list of networks is not a list");
}
