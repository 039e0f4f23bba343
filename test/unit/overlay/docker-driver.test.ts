/** The driver over its real socket, driven by the call orders of real engines. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { id, inWorld } from "./docker-cli.ts";
import { SUBNET, type World } from "./docker-world.ts";

const WEB = { aliases: ["www", "WEB.Corp"], links: ["db"] };

describe("the Docker driver", () => {
  it(
    "answers the handshake as engines expect it",
    inWorld(async ({ world }) => {
      const raw = await world.exchange("Plugin.Activate", "");
      assert.equal(raw.status, 200);
      assert.equal(raw.type, "application/vnd.docker.plugins.v1.2+json");
      assert.equal(raw.text, '{"Implements":["NetworkDriver","IpamDriver"]}');
      const golden: Record<string, object> = {
        "NetworkDriver.GetCapabilities": { Scope: "local", ConnectivityScope: "local" },
        "IpamDriver.GetCapabilities": { RequiresMACAddress: false, RequiresRequestReplay: false },
        "IpamDriver.GetDefaultAddressSpaces": {
          LocalDefaultAddressSpace: "tsweave-local",
          GlobalDefaultAddressSpace: "tsweave-global",
        },
      };
      for (const [method, reply] of Object.entries(golden)) {
        assert.deepEqual(await world.call(method), reply);
      }
      assert.deepEqual(await world.call("NetworkDriver.GwAllocCheck", { Options: {} }), {
        SkipIPv4: false,
        SkipIPv6: false,
      });
    }),
  );

  it(
    "gives a network its pool, gateway, name and number",
    inWorld(async ({ world }) => {
      const asked = { AddressSpace: "tsweave-local", Pool: SUBNET, SubPool: "10.40.0.0/16" };
      assert.deepEqual(await world.call("IpamDriver.RequestPool", asked), {
        PoolID: "tsweave:10.32.0.0/12:10.40.0.0/16",
        Pool: SUBNET,
        Data: { "com.docker.network.gateway": "10.32.0.1/12" },
      });
      assert.deepEqual(
        await world.call("NetworkDriver.CreateNetwork", {
          NetworkID: id("n"),
          Options: {
            "com.docker.network.generic": { "com.docker.network.driver.mtu": "9000" },
          },
          IPv4Data: [{ AddressSpace: "tsweave-local", Pool: SUBNET, Gateway: "10.32.0.1/12" }],
        }),
        {},
      );
      const network = world.host.networks.get("tsweave");
      assert.equal(network?.vni, 256);
      assert.equal(network?.mtuBytes, 8950);
      assert.equal(network?.gateway, "10.32.0.1");
    }),
  );

  it(
    "answers the multicast route for one network of a container",
    inWorld(async ({ cli }) => {
      const first = await cli.networkCreate("tsweave", SUBNET);
      const second = await cli.networkCreate("blue", "10.60.0.0/16");
      const web = await cli.run("web", first, {});
      const more = await cli.connect(web.container, second);
      assert.deepEqual(Object.keys(web.join as object), ["InterfaceName", "StaticRoutes"]);
      assert.deepEqual(Object.keys(more.join as object), ["InterfaceName"]);
      const db = await cli.run("db", second, {});
      assert.ok("StaticRoutes" in (db.join as object));
    }),
  );

  it(
    "runs a container: address, MAC, device, rows, names and hook",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { join, endpointId, ip, container } = await cli.run("web", networkId, WEB);
      assert.deepEqual(join, {
        InterfaceName: { SrcName: `tswc${endpointId.slice(0, 7)}`, DstPrefix: "eth" },
        StaticRoutes: [{ Destination: "224.0.0.0/4", RouteType: 1 }],
      });
      const [, , a = 0, b = 0] = ip.split(".").map(Number);
      const hex = [a, b].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
      assert.equal(world.host.endpoints.get(endpointId)?.mac, `02:42:0a:20:${hex}`);
      assert.equal(world.host.plugged.get(endpointId)?.network, "tsweave");
      const short = container.id.slice(0, 12);
      assert.deepEqual(world.host.names.get(endpointId), ["web", "www", "web.corp", short]);
      const hook = world.host.hooks.get(endpointId);
      assert.equal(hook?.key, container.sandboxKey);
      assert.deepEqual(hook?.links, ["db"]);
      assert.deepEqual(
        world.docker?.endpoints().map((one) => one.ip),
        [ip],
      );
    }),
  );

  it(
    "publishes after plugging and announces before it answers",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      await cli.run("web", networkId);
      const { order } = world.host;
      assert.ok(order.indexOf("plug") < order.indexOf("publish"));
      assert.ok(order.indexOf("publish") < order.indexOf("announce"));
    }),
  );

  it(
    "leaves nothing after a stop",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      await cli.stop(await cli.run("web", networkId));
      assertEmpty(world);
      assert.deepEqual(world.docker?.endpoints(), []);
    }),
  );

  it(
    "unplugs once: in Leave, or in DeleteEndpoint where Leave was lost or failed",
    inWorld(async ({ world, cli }) => {
      const unplugged = () => world.host.order.filter((what) => what === "unplug").length;
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      world.host.requests.length = 0;
      await cli.stop(await cli.run("web", networkId));
      assert.equal(unplugged(), 1);
      const lost = await cli.run("lost", networkId);
      const ref = { NetworkID: networkId, EndpointID: lost.endpointId };
      await world.call("NetworkDriver.DeleteEndpoint", ref);
      assert.equal(unplugged(), 2);
      const failed = await cli.run("failed", networkId);
      world.host.unplugFailure = new Error("device is busy");
      await world.call("NetworkDriver.Leave", { ...ref, EndpointID: failed.endpointId });
      assert.deepEqual(world.host.requests, ["unplug failed"]);
      world.host.unplugFailure = undefined;
      await world.call("NetworkDriver.DeleteEndpoint", { ...ref, EndpointID: failed.endpointId });
      assert.equal(unplugged(), 4);
      assert.deepEqual([...world.host.plugged], []);
      assert.equal(world.host.requests.length, 1, "a usual end asks for no full pass");
    }),
  );

  it(
    "counts as a container's what was joined, not what a lost call left behind",
    inWorld(async ({ world, cli }) => {
      const count = () => world.docker?.joinedCount();
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      assert.equal(count(), 0);
      const { endpointId } = await cli.run("web", networkId);
      assert.equal(count(), 1);
      await world.call("NetworkDriver.Leave", { NetworkID: networkId, EndpointID: endpointId });
      assert.equal(world.docker?.endpoints().length, 1);
      assert.equal(count(), 0);
    }),
  );

  it(
    "answers only what was asked to choose: a given MAC is not repeated",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const made = await cli.run("web", networkId, { ip: "10.40.1.2", mac: "02:00:00:00:00:99" });
      assert.equal(made.ip, "10.40.1.2");
      assert.equal(world.host.endpoints.get(made.endpointId)?.mac, "02:00:00:00:00:99");
      const ref = { NetworkID: networkId, EndpointID: id("other") };
      const address = { Address: "10.40.1.3/12", MacAddress: "02:00:00:00:00:98" };
      const reply = await world.call("NetworkDriver.CreateEndpoint", {
        ...ref,
        Interface: address,
      });
      assert.deepEqual(reply, { Interface: {} });
    }),
  );

  it(
    "refuses a second container with the same --ip and keeps the first",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      await cli.run("one", networkId, { ip: "10.40.1.2" });
      await assert.rejects(cli.run("two", networkId, { ip: "10.40.1.2" }), /10\.40\.1\.2/);
      assert.deepEqual(world.addresses.ips(), ["10.40.1.2"]);
      assert.equal(world.host.endpoints.size, 1);
    }),
  );

  it(
    "undoes a Join that fails",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      world.host.plugFailure = new Error("no such device");
      await assert.rejects(cli.run("web", networkId), /no such device/);
      assertEmpty(world);
      world.host.plugFailure = undefined;
      await cli.run("web", networkId);
      assert.equal(world.host.endpoints.size, 1);
    }),
  );

  it(
    "hooks an existing sandbox before Join is answered (engine 28)",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      let open: () => void = () => undefined;
      world.host.hookGate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let answered = false;
      const run = cli.run("web", networkId, { sandboxAtJoin: true }).then(() => {
        answered = true;
      });
      await until(() => world.host.order.includes("announce"));
      assert.equal(answered, false);
      open();
      await run;
      const hook = [...world.host.hooks.values()][0];
      assert.equal(hook?.waitFor, false);
    }),
  );

  it(
    "does not wait for a sandbox that comes after Join (engine 20.10)",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      world.host.hookGate = new Promise<void>(() => undefined);
      const { endpointId } = await cli.run("web", networkId);
      assert.equal(world.host.endpoints.has(endpointId), true);
      assert.equal(world.host.hooks.has(endpointId), false);
      world.host.hookGate = undefined;
    }),
  );

  it(
    "joins within its budget while the engine's API hangs",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      world.engine.mode = "hung";
      const before = world.clock.nowMs();
      const { endpointId } = await cli.run("web", networkId);
      assert.ok(world.clock.nowMs() - before < 2000);
      assert.equal(world.host.endpoints.has(endpointId), true);
      assert.deepEqual(world.host.names.get(endpointId), []);
      world.engine.mode = "up";
      world.engine.emit({ type: "connected" });
      await world.sync();
      assert.equal(world.host.names.get(endpointId)?.[0], "web");
    }),
  );

  it(
    "puts one container on two networks",
    inWorld(async ({ world, cli }) => {
      const first = await cli.networkCreate("tsweave", SUBNET);
      const second = await cli.networkCreate("blue", "10.80.0.0/16");
      assert.notEqual(world.host.networks.get("blue")?.vni, 256);
      const one = await cli.run("web", first);
      const two = await cli.connect(one.container, second);
      await world.idle();
      assert.equal(world.host.endpoints.get(two.endpointId)?.network, "blue");
      await cli.stop(two);
      assert.equal(world.host.endpoints.has(two.endpointId), false);
      assert.equal(world.host.endpoints.has(one.endpointId), true);
      assert.equal(world.host.names.get(one.endpointId)?.[0], "web");
    }),
  );

  it(
    "knows internal networks",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("dark", "10.81.0.0/16", { internal: true });
      const { endpointId } = await cli.run("web", networkId);
      assert.equal(world.host.networks.get("dark")?.internal, true);
      assert.equal(world.host.hooks.get(endpointId)?.internal, true);
    }),
  );

  it(
    "follows a rename, which has no driver call",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const running = await cli.run("web", networkId);
      await cli.rename(running, "front");
      const names = world.host.names.get(running.endpointId) ?? [];
      assert.ok(names.includes("front"));
      assert.ok(!names.includes("web"));
    }),
  );

  it(
    "tells of exposed ports, and of health at each change",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { container, endpointId } = await cli.run("web", networkId);
      const told = () => {
        const row = world.host.nameRows.get(endpointId);
        return [row?.ports.map(({ port, protocol }) => `${port}/${protocol}`), row?.isUnhealthy];
      };
      assert.deepEqual(told(), [[], false]);
      const event = { type: "container", id: container.id, attributes: { name: "web" } } as const;
      container.ports = ["80/tcp", "53/udp", "nonsense", "70000/tcp"];
      container.isUnhealthy = true;
      world.engine.emit({ ...event, action: "health_status: unhealthy" });
      await world.idle();
      assert.deepEqual(told(), [["80/tcp", "53/udp"], true]);
      container.isUnhealthy = false;
      world.engine.emit({ ...event, action: "health_status: healthy" });
      await world.idle();
      assert.deepEqual(told(), [["80/tcp", "53/udp"], false]);
    }),
  );

  it(
    "removes a network with its rows, namespace and pool",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
      await cli.networkRemove(networkId);
      assert.deepEqual([...world.host.networks], []);
      assert.deepEqual(world.host.removedNetworks, [networkId]);
      assert.equal(world.addresses.opened.get("10.80.0.0/16")?.open, false);
      await cli.networkCreate("blue", "10.80.0.0/16");
    }),
  );

  it(
    "serialises one endpoint's calls and delays no other's",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      let open: () => void = () => undefined;
      world.host.hookGate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const slow = cli.run("slow", networkId, { sandboxAtJoin: true });
      await until(() => world.host.order.includes("announce"));
      world.host.hookGate = undefined;
      const quick = await cli.run("quick", networkId);
      assert.equal(world.host.endpoints.has(quick.endpointId), true);
      const other = [...world.host.endpoints.keys()].find((one) => one !== quick.endpointId) ?? "";
      const leave = world.call("NetworkDriver.Leave", { NetworkID: networkId, EndpointID: other });
      await world.idle();
      assert.equal(world.host.endpoints.has(other), true);
      open();
      await slow;
      await leave;
      assert.equal(world.host.endpoints.has(other), false);
    }),
  );

  it(
    "counts calls and keeps the last error for status",
    inWorld(async ({ world }) => {
      await world.call("IpamDriver.RequestPool", { AddressSpace: "tsweave-local", Pool: "" });
      const counters = world.docker?.status().calls["IpamDriver.RequestPool"];
      assert.equal(counters?.calls, 1);
      assert.equal(counters?.errors, 1);
      assert.match(counters?.lastError?.line ?? "", /--subnet/);
    }),
  );
});

function assertEmpty(world: World): void {
  const { host, addresses } = world;
  assert.deepEqual([...host.plugged.keys()], []);
  assert.deepEqual([...host.endpoints.keys()], []);
  assert.deepEqual([...host.names.keys()], []);
  assert.deepEqual([...host.hooks.keys()], []);
  assert.deepEqual(addresses.ips(), []);
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (holds()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.fail("did not happen");
}
