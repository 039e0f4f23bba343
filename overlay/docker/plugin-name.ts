/**
 * An engine that runs tsweave as its own managed plugin knows the driver as NAME:TAG. Pure.
 *
 * Law: only this file knows that name: everywhere else, and in what peers say to one another, the
 * driver is `tsweave`, so hosts with and without a managed plugin are of one mesh.
 */
import type { EngineEvent } from "../../mesh/index.ts";
import { DRIVER } from "./networks.ts";
import type { DockerEngine, DockerNetwork } from "./ports.ts";

/** The same engine, on which the driver called `name` is ours. */
export function underPluginName(engine: DockerEngine, name: string): DockerEngine {
  if (name === DRIVER) return engine;
  const ours = (driver: string): string => (driver === name ? DRIVER : driver);
  const network = (one: DockerNetwork): DockerNetwork => ({
    ...one,
    driver: ours(one.driver),
    ipamDriver: ours(one.ipamDriver),
  });
  const event = (told: EngineEvent): EngineEvent =>
    told.attributes.type === name
      ? { ...told, attributes: { ...told.attributes, type: DRIVER } }
      : told;
  return {
    ...engine,
    networks: async () => (await engine.networks()).map(network),
    network: async (id, deadlineMs) => {
      const found = await engine.network(id, deadlineMs);
      return found === undefined ? undefined : network(found);
    },
    createNetwork: async (spec) =>
      await engine.createNetwork({ ...spec, driver: spec.driver === DRIVER ? name : spec.driver }),
    onEvent: (receive) => engine.onEvent((told) => receive(event(told))),
  };
}
