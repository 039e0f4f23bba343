/** Power failure, partition and loneliness on real engines: both sides work, and all heals. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BUNDLE, eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2", "h3"] as const;

let mesh: MeshHosts;

async function states(host: string): Promise<string[]> {
  const { peers } = await mesh.json<{ peers: { name: string; state: string }[] }>(
    host,
    "status",
    "peers",
  );
  return peers.map(({ name, state }) => `${name} ${state}`).sort();
}

async function view(host: string): Promise<string[]> {
  return (await mesh.endpoints(host)).map(({ name, ip, vtep }) => `${name} ${ip} ${vtep}`).sort();
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("faults", () => {
  before(async () => {
    mesh = await MeshHosts.up("faults", HOSTS);
    for (const host of HOSTS) await mesh.web(host, `c-${host}`);
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("keeps both sides of a 60 s partition working and heals to equal views", async () => {
    await mesh.lab.partition([["h1"], ["h2", "h3"]]);
    const ips = new Set<string>();
    for (let round = 0; round < 4; round += 1) {
      for (const host of ["h1", "h2"]) {
        const ip = await mesh.web(host, `p${round}-${host}`);
        assert.ok(!ips.has(ip), `${ip} was given out on both sides`);
        ips.add(ip);
      }
      await mesh.docker(round % 2 === 0 ? "h1" : "h3", "ps");
      await sleep(12_000);
    }
    await mesh.docker("h1", "rm", "-f", "p0-h1");
    await mesh.docker("h2", "rm", "-f", "p0-h2");
    assert.equal(await mesh.inside("h3", "c-h3", "wget", "-qO-", "http://p1-h2/"), "p1-h2");
    assert.notEqual((await mesh.tryInside("h1", "c-h1", "nslookup", "p1-h2")).code, 0);
    await sleep(8000);
    await mesh.lab.heal();
    await eventually("all see all again", 15_000, async () => {
      const all = await Promise.all(HOSTS.map(view));
      assert.equal(all[0]?.length, 3 + 6);
      assert.deepEqual(all[1], all[0]);
      assert.deepEqual(all[2], all[0]);
    });
    const all = await mesh.endpoints("h1");
    assert.equal(new Set(all.map(({ ip }) => ip)).size, all.length, "an address is doubled");
    await eventually("names answer across the healed cut", 5000, async () => {
      assert.equal(await mesh.inside("h1", "c-h1", "wget", "-qO-", "http://p1-h2/"), "p1-h2");
      assert.equal(await mesh.inside("h2", "c-h2", "wget", "-qO-", "http://p1-h1/"), "p1-h1");
    });
  });

  it("drops a powered-off host's names, then its entries, and has both back", async () => {
    const victim = await mesh.ip("h3", "c-h3");
    const nsId = await mesh.docker("h1", "network", "inspect", "-f", "{{.Id}}", "tsweave");
    const entries = () =>
      mesh.ok("h1", ["ip", "-n", `tsweave-${nsId.slice(0, 10)}`, "neigh", "show", "dev", "vxlan0"]);
    await mesh.docker("h3", "update", "--restart", "always", "c-h3");
    await mesh.lab.host("h3").crash();
    await eventually("h3's name is gone", 10_000, async () => {
      assert.notEqual((await mesh.tryInside("h1", "c-h1", "nslookup", "c-h3")).code, 0);
    });
    assert.match(await entries(), new RegExp(`^${victim} `, "m"), "entries stay for the grace");
    await eventually("h3's entries are gone", 90_000, async () => {
      assert.doesNotMatch(await entries(), new RegExp(`^${victim} `, "m"));
    });
    await mesh.lab.host("h3").boot({ startEngine: false });
    const peers = mesh.addresses("h3");
    const foreground = [process.execPath, BUNDLE, "launch", "--foreground", ...peers];
    await mesh.lab.host("h3").spawn(foreground);
    await eventually("the daemon is up before the engine", 10_000, () => states("h3"));
    await mesh.lab.host("h3").startEngine();
    await eventually("c-h3 is back under its name", 30_000, async () => {
      assert.equal(await mesh.inside("h1", "c-h1", "wget", "-qO-", "http://c-h3/"), "c-h3");
    });
    await eventually("all alive", 10_000, async () => {
      assert.deepEqual(await states("h1"), ["h1 alive", "h2 alive", "h3 alive"]);
    });
  });

  it("works alone while all other hosts are off", async () => {
    await mesh.lab.host("h2").crash();
    await mesh.lab.host("h3").crash();
    await eventually("h1 is alone", 15_000, async () => {
      assert.deepEqual(await states("h1"), ["h1 alive", "h2 dead", "h3 dead"]);
    });
    await mesh.web("h1", "alone");
    assert.equal(await mesh.inside("h1", "c-h1", "wget", "-qO-", "http://alone/"), "alone");
    const status = await mesh.cli("h1", "status");
    assert.equal(status.code, 0);
    assert.match(status.stdout, /h2/);
  });
});

describe("a two-host mesh", () => {
  let pair: MeshHosts;
  before(async () => {
    pair = await MeshHosts.up("pair", ["a1", "a2"]);
  });
  after(async () => {
    await pair?.lab.down();
  });

  it("goes on when its other host is gone", async () => {
    await pair.web("a1", "first");
    await pair.lab.host("a2").crash();
    await pair.web("a1", "second");
    assert.equal(await pair.inside("a1", "first", "wget", "-qO-", "http://second/"), "second");
  });
});
