/** A full disk under the driver: what was not written is made up for soon after there is room. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TIMES } from "../../../mesh/index.ts";
import { inWorld } from "./docker-cli.ts";
import type { World } from "./docker-world.ts";

const FULL = new Error("no space left (ENOSPC)");
/** A failed write is tried again within this; a comparison in which something is missing, later. */
const SOON_MS = 5000;

/** Lets virtual time pass as it does in a daemon that nobody calls. */
async function wait(world: World, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    world.clock.advance(100);
    await world.idle();
  }
}

describe("the driver and a full disk", () => {
  it(
    "has a network under its name soon after there is room",
    inWorld(async ({ world, cli }) => {
      const { engine, store } = world;
      const add = engine.addNetwork.bind(engine);
      engine.addNetwork = (network) => {
        add(network);
        store.failure = FULL;
      };
      await cli.networkCreate("blue", "10.50.0.0/16");
      await wait(world, 2 * TIMES.engineSyncMs);
      assert.equal(world.host.networks.has("blue"), false);
      store.failure = undefined;
      await wait(world, SOON_MS);
      assert.equal(world.host.networks.has("blue"), true);
    }),
  );

  it(
    "asks the engine no more than every few seconds meanwhile",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const { endpointId, container } = await cli.run("web", networkId);
      world.store.failure = FULL;
      world.engine.unlist(networkId, endpointId);
      world.engine.emit({ type: "container", action: "die", id: container.id });
      await wait(world, 10_000);
      world.engine.calls.length = 0;
      await wait(world, 60_000);
      const lists = world.engine.calls.filter((call) => call === "networks").length;
      assert.ok(lists >= 12 && lists <= 30, `${lists} lists a minute`);
    }),
  );

  it(
    "releases soon after there is room what DeleteEndpoint could not, and says so",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const { endpointId, container, ip } = await cli.run("web", networkId);
      const users = () => world.docker?.usersOf(networkId, () => []);
      const ref = { NetworkID: networkId, EndpointID: endpointId };
      await world.call("NetworkDriver.Leave", ref);
      world.store.failure = FULL;
      const { Err } = await world.call("NetworkDriver.DeleteEndpoint", ref);
      assert.match(String(Err), /no space left/);
      world.engine.unlist(networkId, endpointId);
      world.engine.emit({ type: "container", action: "die", id: container.id });
      await wait(world, 20_000);
      assert.deepEqual(users(), ["web"]);
      world.store.failure = undefined;
      await wait(world, SOON_MS);
      assert.deepEqual(users(), []);
      assert.equal(world.addresses.ips().includes(ip), false);
      assert.equal(world.host.freed, 1, "whether its network may go is looked at again");
    }),
  );

  it(
    "makes up for a lost call that no event follows",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const { endpointId, ip } = await cli.run("web", networkId);
      await wait(world, 10_000);
      const ref = { NetworkID: networkId, EndpointID: endpointId };
      world.store.failure = FULL;
      for (const method of ["Leave", "DeleteEndpoint"]) {
        await world.call(`NetworkDriver.${method}`, ref);
      }
      world.engine.unlist(networkId, endpointId);
      world.store.failure = undefined;
      await wait(world, SOON_MS);
      assert.equal(world.host.endpoints.has(endpointId), false);
      assert.equal(world.addresses.ips().includes(ip), false);
    }),
  );

  it(
    "knows a container's aliases soon after there is room",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      await wait(world, 10_000);
      const sandboxes = world.host.sandboxes;
      const add = sandboxes.add.bind(sandboxes);
      sandboxes.add = (key) => {
        // The start is over: now the inspect answers.
        world.store.failure = FULL;
        return add(key);
      };
      const { endpointId } = await cli.run("web", networkId, { aliases: ["www"] });
      await wait(world, 1000);
      assert.deepEqual(world.host.names.get(endpointId), ["web"]);
      world.store.failure = undefined;
      await wait(world, SOON_MS);
      assert.equal(world.host.names.get(endpointId)?.includes("www"), true);
    }),
  );

  it(
    "takes a lost DeleteEndpoint for one as soon as a lost Leave, in a later life too",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const { endpointId } = await cli.run("web", networkId);
      const ref = { NetworkID: networkId, EndpointID: endpointId };
      await world.call("NetworkDriver.Leave", ref);
      await world.stop();
      world.engine.unlist(networkId, endpointId);
      await world.start();
      await wait(world, 2000);
      assert.deepEqual(
        world.docker?.usersOf(networkId, () => []),
        [],
      );
    }),
  );

  it(
    "leaves what was created and has not joined yet alone for long",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const PoolID = "tsweave:10.50.0.0/16";
      const given = await world.call("IpamDriver.RequestAddress", { PoolID, Address: "" });
      const ref = { NetworkID: networkId, EndpointID: "e".repeat(64) };
      await world.call("NetworkDriver.CreateEndpoint", {
        ...ref,
        Interface: { Address: given.Address, AddressIPv6: "", MacAddress: "" },
        Options: {},
      });
      await wait(world, TIMES.orphanLeaseMs / 2);
      assert.equal(world.docker?.usersOf(networkId, () => []).length, 1);
    }),
  );

  it(
    "removes a network soon after there is room whose DeleteNetwork it could not write",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      world.store.failure = FULL;
      await world.call("NetworkDriver.DeleteNetwork", { NetworkID: networkId });
      world.engine.nets.delete(networkId);
      const attributes = { name: "blue", type: "tsweave" };
      world.engine.emit({ type: "network", action: "destroy", id: networkId, attributes });
      await wait(world, 20_000);
      assert.equal(world.docker?.holds("blue", "10.50.0.0/16"), true);
      world.store.failure = undefined;
      await wait(world, SOON_MS);
      assert.equal(world.docker?.holds("blue", "10.50.0.0/16"), false);
    }),
  );
});
