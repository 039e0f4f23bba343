/** Two networks of one subnet on one engine: one pool, told apart by their VNIs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TIMES } from "../../../mesh/index.ts";
import { inWorld } from "./docker-cli.ts";
import { SUBNET } from "./docker-world.ts";

const SHARED = "10.50.0.0/16";

describe("networks of one subnet", () => {
  it(
    "share a pool that stays open until the last of them is gone",
    inWorld(async ({ world, cli }) => {
      const red = await cli.networkCreate("red", SHARED);
      const blue = await cli.networkCreate("blue", SHARED);
      assert.notEqual(world.host.networks.get("red")?.vni, world.host.networks.get("blue")?.vni);
      const one = await cli.run("one", red);
      const two = await cli.run("two", blue);
      assert.notEqual(one.ip, two.ip);
      await assert.rejects(cli.run("three", blue, { ip: one.ip }), /in use|taken/);
      await cli.stop(two);
      await cli.networkRemove(blue);
      assert.equal(world.addresses.opened.get(SHARED)?.open, true);
      assert.deepEqual(world.addresses.ips(), [one.ip]);
      await cli.run("four", red);
      await cli.stop(one);
      assert.deepEqual(world.host.removed, ["blue"]);
    }),
  );

  it(
    "keep one another's addresses when releases got lost",
    inWorld(async ({ world, cli }) => {
      const red = await cli.networkCreate("red", SHARED);
      const blue = await cli.networkCreate("blue", SHARED);
      const one = await cli.run("one", red);
      const two = await cli.run("two", blue);
      world.clock.advance(2 * TIMES.orphanLeaseMs);
      await world.sync();
      await world.sync();
      assert.deepEqual(world.addresses.ips(), [one.ip, two.ip].sort());
    }),
  );

  it(
    "do not take the default network's name",
    inWorld(async ({ world, cli }) => {
      const first = await cli.networkCreate("tsweave", SUBNET);
      const second = await cli.networkCreate("other", SUBNET);
      assert.deepEqual([...world.host.networks.keys()].sort(), ["other", "tsweave"]);
      assert.deepEqual(world.host.made, [first, second]);
    }),
  );

  it(
    "close what was given for one that never came, and no more",
    inWorld(async ({ world, cli }) => {
      await cli.networkCreate("red", SHARED);
      const space = { AddressSpace: "tsweave-local", SubPool: "", Options: {}, V6: false };
      const ask = () => world.call("IpamDriver.RequestPool", { ...space, Pool: SHARED });
      assert.equal((await ask()).Error, undefined);
      assert.equal((await ask()).Error, undefined, "the answer may have got lost");
      await world.call("IpamDriver.ReleasePool", { PoolID: `tsweave:${SHARED}` });
      assert.equal(world.addresses.opened.get(SHARED)?.open, true);
      assert.equal((await ask()).Error, undefined);
      world.clock.advance(2 * TIMES.engineInFlightMs);
      await world.sync();
      assert.equal(world.addresses.opened.get(SHARED)?.open, true);
      const address = { PoolID: `tsweave:${SHARED}`, Address: "10.50.0.77", Options: null };
      await world.call("IpamDriver.RequestAddress", address);
      assert.equal(world.addresses.reserved.size, 0, "an explicit address is a container's again");
    }),
  );
});
