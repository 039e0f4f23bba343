/**
 * Hosts that go for good, come back, or only seemed gone: on real engines no address is given out
 * twice and none is lost. The faults are those that split Weave's ring.
 */
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import type { RosterStatus } from "../../ipalloc/index.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

/** Small enough that a lost third hurts. */
const RANGE = ["--ipalloc-range", "10.50.0.0/24"];

interface IpamJson {
  readonly pools: readonly {
    readonly subnet: string;
    readonly owned: readonly {
      readonly peer: string;
      readonly ranges: readonly string[];
      readonly addresses: number;
    }[];
  }[];
  readonly roster: RosterStatus;
}

let mesh: MeshHosts | undefined;

async function up(name: string, hosts: readonly string[]): Promise<MeshHosts> {
  const made = await MeshHosts.hostsOnly(name, { hosts });
  mesh = made;
  await Promise.all(hosts.map((host) => made.launch(host, made.addresses(host), ...RANGE)));
  return made;
}

const ipam = async (on: MeshHosts, host: string): Promise<IpamJson> =>
  await on.json<IpamJson>(host, "status", "ipam");

/** Addresses of the pool by owner; the same text from every host that agrees. */
async function owners(on: MeshHosts, host: string): Promise<string> {
  const { pools } = await ipam(on, host);
  return (pools[0]?.owned ?? [])
    .map(({ peer, ranges }) => `${peer} ${ranges.join(",")}`)
    .sort()
    .join("\n");
}

async function alive(on: MeshHosts, host: string, count: number): Promise<void> {
  await eventually(`${host} sees ${count} peers alive`, 20_000, async () => {
    const { mesh: seen } = await on.json<{ mesh: { alive: number } }>(host, "status");
    assert.equal(seen.alive, count);
  });
}

/** Runs containers until their number; their addresses, none of them twice. */
async function fill(on: MeshHosts, host: string, names: readonly string[]): Promise<string[]> {
  const ips: string[] = [];
  for (const name of names) ips.push(await on.web(host, name));
  return ips;
}

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

describe("hosts that go", () => {
  afterEach(async () => {
    await mesh?.lab.down();
    mesh = undefined;
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("two sides of a cut remove the same dead host: one heir, no address twice", async () => {
    const on = await up("takeover", ["h1", "h2", "h3"]);
    const before = await Promise.all(["h1", "h2", "h3"].map((host) => on.web(host, `c-${host}`)));
    await on.lab.host("h3").crash();
    await eventually("both know", 15_000, async () => {
      for (const host of ["h1", "h2"]) {
        const { peers } = await on.json<{ peers: { name: string; state: string }[] }>(
          host,
          ...["status", "peers"],
        );
        assert.equal(peers.find(({ name }) => name === "h3")?.state, "dead");
      }
    });
    await on.lab.partition([["h1"], ["h2"]]);
    const tries = await Promise.all(
      ["h1", "h2"].map((host) => on.cli(host, "rmpeer", "h3", "--yes", "--json")),
    );
    for (const { code, stdout, stderr } of tries) {
      assert.equal(code, 6, `neither side can decide alone: ${stdout}${stderr}`);
      assert.notEqual(JSON.parse(stdout).state, "done");
      assert.ok(JSON.parse(stdout).waitingFor.length > 0, stdout);
    }
    await on.lab.heal();
    await eventually("the space of h3 has one heir, on both", 30_000, async () => {
      const views = await Promise.all(["h1", "h2"].map((host) => owners(on, host)));
      assert.equal(views[1], views[0]);
      assert.doesNotMatch(views[0] ?? "", /h3/);
      for (const host of ["h1", "h2"]) {
        assert.deepEqual((await ipam(on, host)).roster.waits, []);
      }
    });
    const [first, second] = await Promise.all([
      fill(on, "h1", numbered("a", 8)),
      fill(on, "h2", numbered("b", 8)),
    ]);
    const all = [...before, ...first, ...second];
    assert.equal(new Set(all).size, all.length, "h3's container keeps its address reserved, too");
  });

  it("a host that was removed while only cut off keeps its containers and joins anew", async () => {
    const on = await up("cutoff", ["h1", "h2", "h3"]);
    const kept = await fill(on, "h3", ["k0", "k1"]);
    await on.lab.partition([["h1", "h2"], ["h3"]]);
    await eventually("h3 is dead for h1", 15_000, async () => {
      const { peers } = await on.json<{ peers: { name: string; state: string }[] }>(
        "h1",
        ...["status", "peers"],
      );
      assert.equal(peers.find(({ name }) => name === "h3")?.state, "dead");
    });
    const removed = await on.cli("h1", "rmpeer", "h3", "--yes");
    assert.equal(removed.code, 0, removed.stdout + removed.stderr);
    const others = [
      ...(await fill(on, "h1", numbered("a", 6))),
      ...(await fill(on, "h2", numbered("b", 6))),
    ];
    const meanwhile = await fill(on, "h3", ["k2"]);
    await on.lab.heal();
    await eventually("h3 is a member again, by a new store", 30_000, async () => {
      for (const host of ["h1", "h3"]) {
        const { roster } = await ipam(on, host);
        assert.equal(roster.members.length, 3);
        assert.deepEqual(roster.waits, []);
      }
      assert.equal((await ipam(on, "h3")).roster.self, "member");
    });
    const ips = [...kept, ...others];
    assert.equal(new Set(ips).size, ips.length);
    for (const [index, name] of ["k0", "k1", "k2"].entries()) {
      assert.equal(await on.ip("h3", name), [...kept, ...meanwhile][index]);
    }
    await eventually("its containers are reached from the others", 10_000, async () => {
      assert.equal(
        await on.inside("h1", "a0", "timeout", "3", "wget", "-qO-", `http://${kept[0]}/`),
        "k0",
      );
    });
    const later = await fill(on, "h3", ["k3"]);
    assert.ok(![...ips, ...meanwhile].includes(later[0] ?? ""));
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
    assert.match(refused.stderr, /1 containers? use/);
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
