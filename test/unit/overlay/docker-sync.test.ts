/** Lost calls, restarts of either side, lost state: what the comparison with the engine mends. */
import assert from "node:assert/strict";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { TIMES } from "../../../mesh/index.ts";
import { servePlugin } from "../../../overlay/index.ts";
import { DockerCli } from "./docker-cli.ts";
import { SUBNET, World } from "./docker-world.ts";

describe("the driver and an engine that went separate ways", () => {
  let world: World;
  let cli: DockerCli;

  beforeEach(async () => {
    world = await World.create();
    cli = new DockerCli(world);
  });

  afterEach(async () => {
    await world.destroy();
  });

  it("releases at its start what ended while it was down", async () => {
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
  });

  it("has names and hooks back after its restart, without the API", async () => {
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
  });

  it("publishes no endpoint whose sandbox the host's reboot took", async () => {
    const networkId = await cli.networkCreate("tsweave", SUBNET);
    await cli.run("web", networkId);
    await world.stop();
    world.host.endpoints.clear();
    world.host.sandboxes.clear();
    world.engine.mode = "down";
    await world.start();
    assert.equal(world.host.endpoints.size, 0);
  });

  it("removes nothing while the engine is silent", async () => {
    const networkId = await cli.networkCreate("tsweave", SUBNET);
    const { endpointId } = await cli.run("web", networkId);
    world.engine.mode = "down";
    for (let turn = 0; turn < 3; turn++) {
      world.clock.advance(TIMES.orphanLeaseMs);
      await world.sync();
    }
    assert.equal(world.host.endpoints.has(endpointId), true);
    assert.notEqual(world.docker?.status().lastError, null);
  });

  it("releases what two comparisons some seconds apart miss, not what one misses", async () => {
    const networkId = await cli.networkCreate("tsweave", SUBNET);
    const { endpointId } = await cli.run("web", networkId);
    world.engine.unlist(networkId, endpointId);
    await world.sync();
    assert.equal(world.host.endpoints.has(endpointId), true);
    world.clock.advance(TIMES.engineAbsentMs);
    await world.sync();
    assert.equal(world.host.endpoints.has(endpointId), false);
    assert.deepEqual(world.addresses.ips(), []);
  });

  it("needs no replay after the engine's restart, and renews the hooks", async () => {
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
  });

  it("serves a restarting container from the ledger while the API is down", async () => {
    const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
    await world.stop();
    world.engine.mode = "down";
    await world.start();
    const { endpointId } = await cli.run("web", networkId);
    assert.equal(world.host.endpoints.get(endpointId)?.network, "blue");
  });

  it("takes over networks and endpoints when its own state is lost", async () => {
    const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
    const { endpointId, ip, container } = await cli.run("web", networkId, { aliases: ["www"] });
    await world.stop();
    world.store.journals.clear();
    world.addresses.held.clear();
    world.addresses.pools.clear();
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
  });

  it("drops a network that the engine lost, with its pool", async () => {
    const networkId = await cli.networkCreate("blue", "10.80.0.0/16");
    await world.stop();
    world.engine.nets.delete(networkId);
    await world.start();
    await world.sync();
    assert.equal(world.host.networks.has("blue"), false);
    assert.deepEqual(world.host.removedNetworks, [networkId]);
    assert.equal(world.addresses.pools.get("10.80.0.0/16")?.open, false);
  });

  it("takes back an address whose answer got lost, but not at once", async () => {
    await cli.networkCreate("tsweave", SUBNET);
    await world.call("IpamDriver.RequestAddress", { PoolID: `tsweave:${SUBNET}`, Address: "" });
    await world.sync();
    assert.equal(world.addresses.ips().length, 1);
    world.clock.advance(TIMES.orphanLeaseMs);
    await world.sync();
    assert.deepEqual(world.addresses.ips(), []);
  });

  it("gives the same --ip again right after a stop that it missed", async () => {
    const networkId = await cli.networkCreate("tsweave", SUBNET);
    const first = await cli.run("web", networkId, { ip: "10.40.1.2" });
    world.engine.unlist(networkId, first.endpointId);
    const second = await cli.run("web2", networkId, { ip: "10.40.1.2" });
    assert.deepEqual([...world.host.endpoints.keys()], [second.endpointId]);
  });

  it("revives nothing that ends while it compares", async () => {
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
  });

  it("learns a rename that happened while it was down", async () => {
    const networkId = await cli.networkCreate("tsweave", SUBNET);
    const running = await cli.run("web", networkId);
    await world.stop();
    await cli.rename(running, "front");
    await world.start();
    await world.sync();
    assert.equal(world.host.names.get(running.endpointId)?.[0], "front");
  });
});

describe("the plugin socket", () => {
  let world: World;

  beforeEach(async () => {
    world = await World.create();
  });

  afterEach(async () => {
    await world.destroy();
  });

  it("is for root only, and goes with the daemon", async () => {
    const path = join(world.directory, "tsweave.sock");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await world.stop();
    await assert.rejects(stat(path), /ENOENT/);
  });

  it("refuses to take the place of a live one and leaves that working", async () => {
    const handle = async () => ({});
    await assert.rejects(servePlugin(world.directory, { handle }, world.log), {
      code: "ALREADY_RUNNING",
    });
    assert.ok((await world.call("Plugin.Activate")).Implements);
  });

  it("replaces a stale one, and makes its directory", async () => {
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
  });

  it("tells when its directory cannot be made", async () => {
    const file = join(world.directory, "file");
    await writeFile(file, "");
    const serve = servePlugin(join(file, "plugins"), { handle: async () => ({}) }, world.log);
    await assert.rejects(serve, { code: "STATE_UNWRITABLE" });
  });
});

/** A socket file that nobody serves: renamed away from its server, which then unlinks in vain. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve));
  await rename(`${path}.live`, path);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
