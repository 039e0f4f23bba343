/**
 * Hosts that go for good, leave, and come back, on real engines. Removing what is dead twice over
 * and what was only cut off is in ranges-live.
 */
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { ipam, owners, RANGE } from "../lib/ipam-views.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

let mesh: MeshHosts | undefined;

async function up(name: string, hosts: readonly string[]): Promise<MeshHosts> {
  const made = await MeshHosts.hostsOnly(name, { hosts });
  mesh = made;
  await Promise.all(hosts.map((host) => made.launch(host, made.addresses(host), ...RANGE)));
  return made;
}

async function alive(on: MeshHosts, host: string, count: number): Promise<void> {
  await eventually(`${host} sees ${count} peers alive`, 20_000, async () => {
    const { mesh: seen } = await on.json<{ mesh: { alive: number } }>(host, "status");
    assert.equal(seen.alive, count);
  });
}

describe("hosts that go", () => {
  afterEach(async () => {
    await mesh?.lab.down();
    mesh = undefined;
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("of two hosts one is gone for good: the other goes on and admits a replacement", async () => {
    const on = await up("replace", ["h1", "h2"]);
    await on.web("h1", "c1");
    await on.lab.host("h2").crash();
    await eventually("h1 knows", 15_000, async () => {
      const { stdout } = await on.cli("h1", "rmpeer", "h2", "--yes");
      assert.match(stdout, /h2/);
      const { roster } = await ipam(on, "h1");
      assert.deepEqual(roster.waits, []);
      assert.equal(roster.members.length, 1);
    });
    assert.match(await owners(on, "h1"), /^h1 10\.50\.0\.0-10\.50\.0\.255$/);
    await on.lab.addHost("h4");
    await on.launch("h4", [on.address("h1")], ...RANGE);
    await on.web("h4", "c4");
    await eventually("both decide now", 10_000, async () => {
      assert.equal((await ipam(on, "h4")).roster.members.length, 2);
    });
    assert.equal(await on.inside("h1", "c1", "timeout", "3", "wget", "-qO-", "http://c4/"), "c4");
  });

  it("leave hands the space on; reset leaves nothing behind; both may join again", async () => {
    const on = await up("leaving", ["h1", "h2", "h3"]);
    await on.web("h3", "busy");
    const refused = await on.cli("h3", "leave");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /1 container here on tsweave networks/);
    await on.docker("h3", "rm", "-f", "busy");
    await eventually("h3 may leave once its address has rested", 60_000, async () => {
      const left = await on.cli("h3", "leave");
      assert.equal(left.code, 0, left.stderr);
    });
    assert.equal((await on.cli("h3", "status")).code, 3);
    await eventually("its space is another's", 10_000, async () => {
      const view = await owners(on, "h1");
      assert.doesNotMatch(view, /h3/);
      assert.equal(await owners(on, "h2"), view);
    });
    const reset = await on.cli("h2", "reset", "--yes");
    assert.equal(reset.code, 0, reset.stderr);
    assert.equal(await on.ok("h2", ["ip", "netns", "list"]), "");
    // The lab mounts the directory, so that it stays, empty.
    assert.equal(await on.ok("h2", ["ls", "-A", "/var/lib/tsweave"]), "");
    assert.doesNotMatch(await on.docker("h2", "network", "ls"), /tsweave/);
    assert.match(await owners(on, "h1"), /^h1 10\.50\.0\.0-10\.50\.0\.255$/);
    for (const host of ["h2", "h3"]) await on.launch(host, [on.address("h1")], ...RANGE);
    const ips = await Promise.all(["h1", "h2", "h3"].map((host) => on.web(host, `n-${host}`)));
    assert.equal(new Set(ips).size, 3);
    await eventually("three members again", 10_000, async () => {
      assert.equal((await ipam(on, "h1")).roster.members.length, 3);
    });
  });

  it("hosts find each other after a power failure without the one they were given", async () => {
    const on = await MeshHosts.hostsOnly("boot", { hosts: ["h1", "h2", "h3"] });
    mesh = on;
    await on.launch("h1", [], ...RANGE);
    for (const host of ["h2", "h3"]) await on.launch(host, [on.address("h1")], ...RANGE);
    await alive(on, "h2", 3);
    await alive(on, "h3", 3);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await Promise.all(["h1", "h2", "h3"].map((host) => on.lab.host(host).crash()));
    for (const host of ["h2", "h3"]) {
      await on.lab.host(host).boot();
      await on.launch(host, [on.address("h1")], ...RANGE);
    }
    await alive(on, "h2", 2);
    await alive(on, "h3", 2);
    const forgotten = await on.cli("h2", "forget", on.address("h1"));
    assert.equal(forgotten.code, 0, forgotten.stderr);
    assert.match(forgotten.stderr, /launch was given/);
  });
});
