/** An engine that knows the driver by a managed plugin's name: nobody else hears of that name. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EngineEvent } from "../../../mesh/index.ts";
import { underPluginName } from "../../../overlay/docker/plugin-name.ts";
import type { DockerEngine, DockerNetwork } from "../../../overlay/docker/ports.ts";

const NAME = "tsweave:latest";

function network(driver: string): DockerNetwork {
  const empty = { options: {}, labels: {}, ipRange: "", gateway: "", auxiliary: [], endpoints: [] };
  const subnets = ["10.32.0.0/12"];
  return { id: driver, name: "n", driver, ipamDriver: driver, internal: false, subnets, ...empty };
}

/** An engine with three networks that notes what it is asked to make. */
function engineOf(made: string[]): DockerEngine & { tell: (event: EngineEvent) => void } {
  const networks = [network(NAME), network("tsweave:old"), network("bridge")];
  let receive: (event: EngineEvent) => void = () => undefined;
  return {
    version: async () => "20.10.24",
    networks: async () => networks,
    network: async (id) => networks.find((one) => one.id === id),
    createNetwork: async ({ driver }) => {
      made.push(driver);
      return driver;
    },
    removeNetwork: async () => undefined,
    container: async () => undefined,
    running: async () => [],
    onEvent: (to) => {
      receive = to;
      return () => undefined;
    },
    tell: (event) => receive(event),
  };
}

describe("an engine with a managed plugin", () => {
  it("shows the plugin's networks as tsweave's, and no others", async () => {
    const engine = underPluginName(engineOf([]), NAME);
    const drivers = (await engine.networks()).map(({ driver, ipamDriver }) => [driver, ipamDriver]);
    assert.deepEqual(drivers, [
      ["tsweave", "tsweave"],
      ["tsweave:old", "tsweave:old"],
      ["bridge", "bridge"],
    ]);
    assert.equal((await engine.network(NAME, 100))?.driver, "tsweave");
    assert.equal(await engine.network("none", 100), undefined);
  });

  it("is told the plugin's name for networks of tsweave's", async () => {
    const made: string[] = [];
    const engine = underPluginName(engineOf(made), NAME);
    const spec = { name: "n", subnet: "10.32.0.0/12", internal: false, options: {} };
    await engine.createNetwork({ ...spec, driver: "tsweave" });
    await engine.createNetwork({ ...spec, driver: "bridge" });
    assert.deepEqual(made, [NAME, "bridge"]);
  });

  it("tells of the plugin's networks as of tsweave's", () => {
    const real = engineOf([]);
    const types: (string | undefined)[] = [];
    underPluginName(real, NAME).onEvent(({ attributes }) => types.push(attributes.type));
    const event = { type: "network", action: "create", id: "x" } as const;
    real.tell({ ...event, attributes: { type: NAME, name: "n" } });
    real.tell({ ...event, attributes: { type: "bridge" } });
    real.tell({ ...event, attributes: {} });
    assert.deepEqual(types, ["tsweave", "bridge", undefined]);
  });

  it("is left alone under tsweave's own name", () => {
    const real = engineOf([]);
    assert.equal(underPluginName(real, "tsweave"), real);
  });
});
