/** Lost calls, restarts of either side, lost state: what the comparison with the engine mends. */
import assert from "node:assert/strict";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { TIMES } from "../../../mesh/index.ts";
import { servePlugin } from "../../../overlay/index.ts";
import { inWorld } from "./docker-cli.ts";
import { SUBNET } from "./docker-world.ts";

describe("the driver and an engine that went separate ways", () => {
  it(
    "releases at its start what ended while it was down",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const gone = await cli.run("gone", networkId);
      const kept = await cli.run("kept", networkId);
      await world.stop();
      await cli.stop(gone);
      await world.start();
      await world.sync();
      assert.deepEqual([...world.host.endpoints.keys()], [kept.endpointId]);
      assert.deepEqual([...world.host.plugged.keys()], [kept.endpointId]);
      assert.deepEqual(world.addresses.ips(), [kept.ip]);
      assert.equal(world.docker?.status().released, 1);
    }),
  );

  it(
    "has names and hooks back after its restart, without the API",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { endpointId, container } = await cli.run("web", networkId, { links: ["db"] });
      await world.stop();
      world.host.hooks.clear();
      world.host.endpoints.clear();
      world.host.names.clear();
      world.engine.mode = "down";
      await world.start();
      await world.idle();
      assert.equal(world.host.endpoints.has(endpointId), true);
      assert.equal(world.host.names.get(endpointId)?.[0], "web");
      assert.equal(world.host.hooks.get(endpointId)?.key, container.sandboxKey);
      assert.deepEqual(world.host.hooks.get(endpointId)?.links, ["db"]);
    }),
  );

  it(
    "publishes no endpoint whose sandbox the host's reboot took",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      await cli.run("web", networkId);
      await world.stop();
      world.host.endpoints.clear();
      world.host.sandboxes.clear();
      world.engine.mode = "down";
      await world.start();
      assert.equal(world.host.endpoints.size, 0);
    }),
  );

  it(
    "removes the namespace of a network whose DeleteNetwork a kill -9 cut short",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const { datapath } = world.host;
      const { removeNetwork } = datapath;
      datapath.removeNetwork = async () => {
        throw new Error("killed");
      };
      await world.call("NetworkDriver.DeleteNetwork", { NetworkID: networkId });
      assert.deepEqual(world.docker?.networks(), [], "no pass builds it again meanwhile");
      world.engine.nets.delete(networkId);
      await world.stop();
      datapath.removeNetwork = removeNetwork;
      await world.start();
      await world.sync();
      assert.deepEqual(world.host.removedNetworks, [networkId]);
      assert.deepEqual(world.addresses.pools(), []);
    }),
  );

  it(
    "takes the engine's word for DeleteNetwork where that call got lost, once",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.50.0.0/16");
      const removed = { type: "network", action: "destroy", id: networkId } as const;
      const attributes = { name: "blue", type: "tsweave" };
      world.engine.nets.delete(networkId);
      for (let times = 0; times < 2; times++) {
        world.engine.emit({ ...removed, attributes });
        await world.idle();
        assert.deepEqual(world.host.removed, ["blue"]);
        assert.deepEqual(world.host.removedNetworks, [networkId]);
      }
    }),
  );

  it(
    "removes nothing while the engine is silent",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { endpointId } = await cli.run("web", networkId);
      world.engine.mode = "down";
      for (let turn = 0; turn < 3; turn++) {
        world.clock.advance(TIMES.orphanLeaseMs);
        await world.sync();
      }
      assert.equal(world.host.endpoints.has(endpointId), true);
      assert.notEqual(world.docker?.status().lastError, null);
    }),
  );

  it(
    "releases what two comparisons some seconds apart miss, not what one misses",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { endpointId } = await cli.run("web", networkId);
      world.engine.unlist(networkId, endpointId);
      await world.sync();
      assert.equal(world.host.endpoints.has(endpointId), true);
      world.clock.advance(TIMES.engineAbsentMs);
      await world.sync();
      assert.equal(world.host.endpoints.has(endpointId), false);
      assert.deepEqual(world.addresses.ips(), []);
    }),
  );

  it(
    "needs no replay after the engine's restart, and renews the hooks",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { endpointId, ip } = await cli.run("web", networkId);
      world.engine.emit({ type: "connected" });
      world.engine.emit({ type: "disconnected" });
      await world.call("Plugin.Activate");
      await world.call("NetworkDriver.GetCapabilities");
      world.engine.emit({ type: "connected" });
      await world.sync();
      assert.equal(world.host.refreshed, 1);
      assert.equal(world.host.endpoints.get(endpointId)?.ip, ip);
      const next = await cli.run("next", networkId);
      assert.notEqual(next.ip, ip);
    }),
  );

  it(
    "serves a restarting container from the ledger while the API is down",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
      await world.stop();
      world.engine.mode = "down";
      await world.start();
      const { endpointId } = await cli.run("web", networkId);
      assert.equal(world.host.endpoints.get(endpointId)?.network, "blue");
    }),
  );

  it(
    "takes over networks and endpoints when its own state is lost",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
      const { endpointId, ip, container } = await cli.run("web", networkId, { aliases: ["www"] });
      await world.stop();
      world.store.journals.clear();
      world.addresses.held.clear();
      world.addresses.opened.clear();
      world.host.endpoints.clear();
      world.host.names.clear();
      world.host.hooks.clear();
      world.host.networks.clear();
      await world.start();
      await world.sync();
      assert.equal(world.host.networks.get("blue")?.subnet, "10.80.0.0/16");
      assert.equal(world.host.endpoints.get(endpointId)?.ip, ip);
      assert.deepEqual(world.addresses.ips(), [ip]);
      assert.ok(world.host.names.get(endpointId)?.includes("www"));
      assert.equal(world.host.hooks.get(endpointId)?.key, container.sandboxKey);
    }),
  );

  it(
    "drops a network that the engine lost, with its pool",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
      await world.stop();
      world.engine.nets.delete(networkId);
      await world.start();
      await world.sync();
      assert.equal(world.host.networks.has("blue"), false);
      assert.deepEqual(world.host.removedNetworks, [networkId]);
      assert.equal(world.addresses.opened.get("10.80.0.0/16")?.open, false);
    }),
  );

  it(
    "takes back an address whose answer got lost, but not at once",
    inWorld(async ({ world, cli }) => {
      await cli.networkCreate("tsweave", SUBNET);
      await world.call("IpamDriver.RequestAddress", { PoolID: `tsweave:${SUBNET}`, Address: "" });
      await world.sync();
      assert.equal(world.addresses.ips().length, 1);
      world.clock.advance(TIMES.orphanLeaseMs);
      await world.sync();
      assert.deepEqual(world.addresses.ips(), []);
    }),
  );

  it(
    "gives the same --ip again right after a stop that it missed",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const first = await cli.run("web", networkId, { ip: "10.40.1.2" });
      world.engine.unlist(networkId, first.endpointId);
      const second = await cli.run("web2", networkId, { ip: "10.40.1.2" });
      assert.deepEqual([...world.host.endpoints.keys()], [second.endpointId]);
    }),
  );

  it(
    "revives nothing that ends while it compares",
    inWorld(async ({ world, cli }) => {
      const first = await cli.networkCreate("blue", "10.80.0.0/16");
      const second = await cli.networkCreate("tsweave", SUBNET);
      const running = await cli.run("web", second);
      running.container.name = "renamed";
      const seen = { endpointId: running.endpointId, containerKey: running.container.id };
      world.engine.list(second, { ...seen, containerName: "renamed", ip: running.ip, mac: "" });
      let left = 2;
      world.engine.meanwhile = async (call) => {
        if (call === `network ${second}` && left === 2) {
          left = 1;
          await cli.networkRemove(first);
        }
        if (call === `container ${running.container.id}` && left === 1) {
          left = 0;
          await cli.stop(running);
        }
      };
      await world.sync();
      assert.equal(left, 0);
      assert.deepEqual([...world.host.networks.keys()], ["tsweave"]);
      assert.deepEqual([...world.host.endpoints.keys()], []);
      assert.deepEqual([...world.host.names.keys()], []);
      assert.deepEqual([...world.host.hooks.keys()], []);
      assert.deepEqual(world.addresses.ips(), []);
    }),
  );

  it(
    "learns a rename that happened while it was down",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const running = await cli.run("web", networkId);
      await world.stop();
      await cli.rename(running, "front");
      await world.start();
      await world.sync();
      assert.equal(world.host.names.get(running.endpointId)?.[0], "front");
    }),
  );

  it(
    "holds the address of what it took over, and asks its owner until it is its own",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { ip } = await cli.run("web", networkId);
      await world.stop();
      world.store.journals.clear();
      world.addresses.held.clear();
      world.addresses.foreign.add(ip);
      await world.start();
      await world.sync();
      const held = () => world.addresses.leases(SUBNET).map(({ owned }) => owned);
      assert.deepEqual(held(), [false]);
      await assert.rejects(cli.run("other", networkId, { ip }), /another's|taken/);
      world.addresses.foreign.clear();
      await world.sync();
      assert.deepEqual(held(), [true]);
      await world.sync();
      assert.deepEqual(world.addresses.ips(), [ip]);
    }),
  );

  it(
    "files the address of a running container whose lease is lost",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { ip } = await cli.run("web", networkId);
      world.addresses.held.clear();
      await world.sync();
      assert.deepEqual(world.addresses.ips(), [ip]);
      assert.equal(world.addresses.claims, 1);
      await world.sync();
      assert.equal(world.addresses.claims, 1, "what is its own is not asked for again");
    }),
  );

  it(
    "learns the user's own gateway and addresses from the engine when its state is lost",
    inWorld(async ({ world }) => {
      const own = { gateway: "10.80.0.254", auxiliary: ["10.80.0.9"] };
      world.engine.addNetwork({ id: "n1", name: "blue", subnets: ["10.80.0.0/16"], ...own });
      await world.sync();
      assert.equal(world.host.networks.get("blue")?.gateway, "10.80.0.254");
      assert.deepEqual([...world.addresses.reserved], ["10.80.0.0/16 10.80.0.9"]);
    }),
  );

  it(
    "closes a pool that never became a network, and takes back what was given out of it",
    inWorld(async ({ world }) => {
      const pool = "10.80.0.0/16";
      const asked = { AddressSpace: "tsweave-local", Pool: pool };
      await world.call("IpamDriver.RequestPool", asked);
      await world.call("IpamDriver.RequestAddress", { PoolID: `tsweave:${pool}`, Address: "" });
      await world.stop();
      await world.start();
      const aux = { PoolID: `tsweave:${pool}`, Address: "10.80.0.9" };
      await world.call("IpamDriver.RequestAddress", aux);
      assert.equal(world.addresses.reserved.size, 1, "still before CreateNetwork");
      await world.sync();
      assert.equal(world.addresses.opened.get(pool)?.open, true, "it may be on its way");
      world.clock.advance(TIMES.engineInFlightMs);
      await world.sync();
      assert.equal(world.addresses.opened.get(pool)?.open, false);
      assert.deepEqual(world.addresses.ips(), []);
    }),
  );

  it(
    "takes back unanswered addresses of a network that is removed",
    inWorld(async ({ world, cli }) => {
      const pool = "10.80.0.0/16";
      const networkId = await cli.networkCreate("blue", pool);
      await world.call("IpamDriver.RequestAddress", { PoolID: `tsweave:${pool}`, Address: "" });
      await cli.networkRemove(networkId);
      assert.deepEqual(world.addresses.ips(), []);
    }),
  );

  it(
    "frees no address under a container that the engine lists or cannot tell of",
    inWorld(async ({ world, cli }) => {
      const networkId = await cli.networkCreate("tsweave", SUBNET);
      const { ip, endpointId } = await cli.run("web", networkId);
      const release = { PoolID: `tsweave:${SUBNET}`, Address: ip };
      assert.deepEqual(await world.call("IpamDriver.ReleaseAddress", release), {});
      world.engine.mode = "hung";
      assert.deepEqual(await world.call("IpamDriver.ReleaseAddress", release), {});
      assert.deepEqual(world.addresses.ips(), [ip]);
      assert.equal(world.host.endpoints.has(endpointId), true);
      world.engine.mode = "up";
      world.engine.unlist(networkId, endpointId);
      assert.deepEqual(await world.call("IpamDriver.ReleaseAddress", release), {});
      assert.deepEqual(world.addresses.ips(), []);
      assert.equal(world.host.endpoints.has(endpointId), false);
    }),
  );
});

describe("the plugin socket", () => {
  it(
    "is for root only, and goes with the daemon",
    inWorld(async ({ world }) => {
      const path = join(world.directory, "tsweave.sock");
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await world.stop();
      await assert.rejects(stat(path), /ENOENT/);
    }),
  );

  it(
    "refuses to take the place of a live one and leaves that working",
    inWorld(async ({ world }) => {
      const handle = async () => ({});
      await assert.rejects(servePlugin(world.directory, { handle }, world.log), {
        code: "ALREADY_RUNNING",
      });
      assert.ok((await world.call("Plugin.Activate")).Implements);
    }),
  );

  it(
    "replaces a stale one, and makes its directory",
    inWorld(async ({ world }) => {
      const directory = join(world.directory, "deep", "er");
      await mkdir(directory, { recursive: true });
      await leaveStaleSocket(join(directory, "tsweave.sock"));
      const served = await servePlugin(directory, { handle: async () => ({}) }, world.log);
      await served.close();
      await served.close();
      const other = await servePlugin(
        join(directory, "new"),
        { handle: async () => ({}) },
        world.log,
      );
      await other.close();
    }),
  );

  it(
    "tells when its directory cannot be made",
    inWorld(async ({ world }) => {
      const file = join(world.directory, "file");
      await writeFile(file, "");
      const serve = servePlugin(join(file, "plugins"), { handle: async () => ({}) }, world.log);
      await assert.rejects(serve, { code: "STATE_UNWRITABLE" });
    }),
  );
});

/** A socket file that nobody serves: renamed away from its server, which then unlinks in vain. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve));
  await rename(`${path}.live`, path);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
