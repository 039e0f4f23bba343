/** What the driver refuses, and that a refusal changes nothing. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { DockerCli, id, inWorld } from "./docker-cli.ts";
import { SUBNET, World } from "./docker-world.ts";

const SPACE = { AddressSpace: "tsweave-local" };

describe("what the Docker driver refuses", () => {
  it(
    "acts on no call that lost its body",
    inWorld(async ({ world, cli }) => {
      await cli.networkCreate("tsweave", SUBNET);
      const held = world.addresses.ips().length;
      for (const method of [
        "IpamDriver.RequestPool",
        "IpamDriver.RequestAddress",
        "IpamDriver.ReleaseAddress",
        "IpamDriver.ReleasePool",
        "NetworkDriver.CreateNetwork",
        "NetworkDriver.DeleteNetwork",
        "NetworkDriver.CreateEndpoint",
        "NetworkDriver.Join",
        "NetworkDriver.Leave",
        "NetworkDriver.DeleteEndpoint",
      ]) {
        const reply = await world.call(method);
        assert.match(reply.Err ?? "", /without its arguments/, method);
        assert.equal(reply.Err, reply.Error);
      }
      assert.equal(world.addresses.ips().length, held);
      assert.equal(world.host.networks.size, 1);
      // An error to this one, which changes nothing, would fail a container's start on 20.10.
      assert.deepEqual(await world.call("NetworkDriver.EndpointOperInfo"), { Value: {} });
    }),
  );

  it(
    "answers 404 to methods it does not have",
    inWorld(async ({ world }) => {
      const raw = await world.exchange("NetworkDriver.Nonsense", "{}");
      assert.equal(raw.status, 404);
      assert.match(raw.text, /"Err"/);
      assert.equal((await world.exchange("__proto__", "{}")).status, 404);
    }),
  );

  it(
    "answers 413 to a body beyond the limit",
    inWorld(async ({ world }) => {
      const raw = await world.exchange("NetworkDriver.Join", `"${"x".repeat(1024 * 1024)}"`);
      assert.equal(raw.status, 413);
    }),
  );

  it(
    "refuses a pool without a subnet, and IPv6",
    inWorld(async ({ world }) => {
      const none = await world.call("IpamDriver.RequestPool", { ...SPACE, Pool: "" });
      assert.match(none.Error ?? "", /needs its subnet; create it with --subnet/);
      const six = { ...SPACE, Pool: "fd00::/64", V6: true };
      assert.match((await world.call("IpamDriver.RequestPool", six)).Error ?? "", /IPv4 only/);
      const odd = { ...SPACE, Pool: "10.32.0.5/12" };
      assert.match(
        (await world.call("IpamDriver.RequestPool", odd)).Error ?? "",
        /10\.32\.0\.0\/12/,
      );
      const range = { ...SPACE, Pool: SUBNET, SubPool: "10.99.0.0/16" };
      assert.match((await world.call("IpamDriver.RequestPool", range)).Error ?? "", /not inside/);
      const option = { ...SPACE, Pool: SUBNET, Options: { colour: "red" } };
      assert.match((await world.call("IpamDriver.RequestPool", option)).Error ?? "", /colour/);
      assert.equal(world.addresses.opened.size, 0);
    }),
  );

  it(
    "refuses a pool that shares addresses with another, not one of a network's own subnet",
    inWorld(async ({ world, cli }) => {
      await cli.networkCreate("tsweave", SUBNET);
      const again = await world.call("IpamDriver.RequestPool", { ...SPACE, Pool: SUBNET });
      assert.equal(again.Error, undefined);
      const inside = await world.call("IpamDriver.RequestPool", { ...SPACE, Pool: "10.33.0.0/16" });
      assert.match(inside.Error ?? "", /in use by network tsweave/);
    }),
  );

  it(
    "gives a pool again whose answer got lost, and none that shares addresses with it",
    inWorld(async ({ world, cli }) => {
      const asked = { ...SPACE, Pool: "10.80.0.0/16" };
      const first = await world.call("IpamDriver.RequestPool", asked);
      assert.equal(first.Error, undefined);
      const inside = await world.call("IpamDriver.RequestPool", { ...asked, Pool: "10.80.7.0/24" });
      assert.match(inside.Error ?? "", /in use by a network on 10\.80\.0\.0\/16/);
      assert.deepEqual(await world.call("IpamDriver.RequestPool", asked), first);
      const networkId = await cli.networkCreate("blue", asked.Pool);
      await cli.run("web", networkId);
    }),
  );

  it(
    "gives the pool again when the engine lost the network, not when it is silent",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      world.engine.nets.delete(networkId);
      world.engine.mode = "hung";
      const silent = await world.call("IpamDriver.RequestPool", { ...SPACE, Pool: SUBNET });
      assert.match(silent.Error ?? "", /Docker cannot be asked/);
      world.engine.mode = "up";
      await cli.networkCreate("tsweave", SUBNET);
      assert.deepEqual(world.host.removedNetworks, [networkId]);
    }),
  );

  it(
    "refuses addresses of Docker's own IPAM",
    inWorld(async ({ world }) => {
      const reply = await world.call("NetworkDriver.CreateNetwork", {
        NetworkID: id("n"),
        Options: {},
        IPv4Data: [
          { AddressSpace: "LocalDefault", Pool: "172.19.0.0/16", Gateway: "172.19.0.1/16" },
        ],
      });
      assert.match(reply.Err ?? "", /-d tsweave needs --ipam-driver tsweave/);
      assert.equal(world.docker?.networks().length, 0);
    }),
  );

  it(
    "refuses options that have no effect by name",
    inWorld(async ({ cli }) => {
      const generic = { "com.docker.network.bridge.name": "br9" };
      await assert.rejects(cli.networkCreate("blue", "10.80.0.0/16", { generic }), /bridge\.name/);
      const mtu = { "com.docker.network.driver.mtu": "12" };
      await assert.rejects(
        cli.networkCreate("red", "10.81.0.0/16", { generic: mtu }),
        /not an MTU/,
      );
    }),
  );

  it(
    "tolerates ends of what it does not know, and repeats of them",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const ref = { NetworkID: networkId, EndpointID: id("stranger") };
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await world.call("NetworkDriver.Leave", ref), {});
        assert.deepEqual(await world.call("NetworkDriver.DeleteEndpoint", ref), {});
        const address = { PoolID: `tsweave:${SUBNET}`, Address: "10.32.7.7" };
        assert.deepEqual(await world.call("IpamDriver.ReleaseAddress", address), {});
        assert.deepEqual(
          await world.call("NetworkDriver.DeleteNetwork", { NetworkID: id("x") }),
          {},
        );
      }
    }),
  );

  it(
    "takes --aux-address as the user's own and --gateway as the gateway",
    inWorld(async ({ world }) => {
      await world.call("IpamDriver.RequestPool", { ...SPACE, Pool: "10.80.0.0/16" });
      const pool = { PoolID: "tsweave:10.80.0.0/16" };
      const type = { RequestAddressType: "com.docker.network.gateway" };
      const gateway = { ...pool, Address: "10.80.0.254", Options: type };
      assert.deepEqual(await world.call("IpamDriver.RequestAddress", gateway), {
        Address: "10.80.0.254/16",
        Data: {},
      });
      const aux = { ...pool, Address: "10.80.0.9" };
      assert.equal((await world.call("IpamDriver.RequestAddress", aux)).Address, "10.80.0.9/16");
      assert.deepEqual(world.addresses.ips(), []);
      assert.deepEqual([...world.addresses.reserved], ["10.80.0.0/16 10.80.0.9"]);
    }),
  );
});

describe("arbitrary bodies", () => {
  let world: World;

  before(async () => {
    world = await World.create();
    await new DockerCli(world).networkCreate("tsweave", SUBNET);
  });

  after(async () => {
    await world.destroy();
  });

  const METHODS = [
    "NetworkDriver.CreateNetwork",
    "NetworkDriver.CreateEndpoint",
    "NetworkDriver.Join",
    "NetworkDriver.Leave",
    "NetworkDriver.DeleteEndpoint",
    "IpamDriver.RequestPool",
    "IpamDriver.ReleasePool",
    "IpamDriver.RequestAddress",
    "IpamDriver.ReleaseAddress",
  ];
  const KEYS = [
    "NetworkID",
    "EndpointID",
    "PoolID",
    "Address",
    "Pool",
    "SubPool",
    "AddressSpace",
    "Interface",
    "Options",
    "IPv4Data",
    "V6",
    "SandboxKey",
    "__proto__",
  ];
  const VALUES = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(id("n"), SUBNET, `tsweave:${SUBNET}`, "tsweave-local", "10.32.0.1"),
    fc.constantFrom<unknown>("tsweave:", "tsweave:::", "10.0.0.0/33", "010.0.0.1", "::/0"),
  );
  const BODIES = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(fc.constantFrom(...KEYS), VALUES).map((body) => JSON.stringify(body)),
  );

  it("get an answer with no internal error, and give nothing away", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...METHODS), BODIES, async (method, body) => {
        const answer = await world.docker?.handle(method, Buffer.from(body));
        assert.notEqual(answer, undefined);
        const internal = world.log.lines.filter(
          (line) => "stack" in line.fields && line.fields.stack,
        );
        assert.deepEqual(internal, []);
      }),
      { numRuns: 400, seed: 7 },
    );
    assert.equal(world.host.endpoints.size, 0);
  });
});
