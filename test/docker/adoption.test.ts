/**
 * Two meshes on real engines that were founded apart and meet: they refuse one another, until an
 * operator lets one adopt the other. Containers run all the while and keep their addresses.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { RosterStatus } from "../../ipalloc/index.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2", "h3"] as const;

interface StatusJson {
  readonly health: {
    readonly problems: readonly {
      readonly code: string;
      readonly text: string;
      readonly next: string;
    }[];
  };
}

let mesh: MeshHosts;

const problems = async (host: string) =>
  (await mesh.json<StatusJson>(host, "status")).health.problems;

const roster = async (host: string) =>
  (await mesh.json<{ roster: RosterStatus }>(host, "status", "ipam")).roster;

const fetch = (host: string, from: string, ip: string) =>
  mesh.inside(host, from, "timeout", "3", "wget", "-qO-", `http://${ip}/`);

describe("two meshes that meet", () => {
  before(async () => {
    mesh = await MeshHosts.hostsOnly("adoption", { hosts: HOSTS });
    await mesh.launch("h1", []);
    await mesh.launch("h2", [mesh.address("h1")]);
    await mesh.launch("h3", []);
  });
  after(async () => {
    await mesh?.lab.down();
  });

  const ips = new Map<string, string>();

  it("refuse one another, with the reason on both sides", async () => {
    for (const [host, name] of [
      ["h1", "a1"],
      ["h1", "a2"],
      ["h2", "b1"],
      ["h3", "c1"],
    ] as const) {
      ips.set(name, await mesh.web(host, name));
    }
    assert.equal(ips.get("c1"), ips.get("a1"), "both meshes begin with the same address");
    const met = await mesh.cli("h1", "connect", mesh.address("h3"));
    assert.equal(met.code, 0, met.stderr);
    await eventually("both sides say so", 20_000, async () => {
      for (const [host, other] of [
        ["h1", "h3"],
        ["h2", "h3"],
        ["h3", "h1"],
      ] as const) {
        const found = (await problems(host)).find(({ code }) => code === "MESH_CONFLICT");
        assert.match(found?.text ?? "", new RegExp(other), host);
        assert.match(found?.next ?? "", /tsweave adopt h\d/);
      }
    });
    assert.equal((await roster("h1")).members.length, 2);
    assert.equal((await roster("h3")).members.length, 1);
  });

  it("one adopts the other: what runs keeps its address, who is away follows", async () => {
    await mesh.ok("h2", ["kill", "-9", `${await mesh.daemonPid("h2")}`]);
    const { code, stdout, stderr } = await mesh.cli("h1", "adopt", "h3", "--yes");
    assert.equal(code, 0, stdout + stderr);
    assert.match(stderr, /is given up: h1.*\n.*adopts it: {2}h3\n/);
    assert.match(stdout, new RegExp(`a1 on h1, whose address ${ips.get("a1")} is c1's on h3`));
    assert.match(stdout, /docker restart a1/);
    await mesh.launch("h2", [mesh.address("h1")]);
    await eventually("all are of one mesh", 30_000, async () => {
      for (const host of HOSTS) {
        const { members, waits, self } = await roster(host);
        assert.deepEqual([members.length, waits, self], [3, [], "member"], host);
      }
    });
    await eventually("only the double address is left", 20_000, async () => {
      const codes = (await problems("h2")).map((one) => one.code);
      assert.deepEqual(codes, ["ADDRESS_TWICE"]);
      const [mine] = (await problems("h1")).filter((one) => one.code === "ADDRESS_CONFLICT");
      assert.match(mine?.text ?? "", /container a1/);
      assert.equal(mine?.next, "docker restart a1");
    });
    assert.equal(await mesh.ip("h1", "a2"), ips.get("a2"));
    assert.equal(await mesh.ip("h2", "b1"), ips.get("b1"));
    assert.equal(await fetch("h2", "b1", ips.get("a2") ?? ""), "a2");
  });

  it("the container that lost its address gets another, and all is well", async () => {
    await mesh.docker("h1", "restart", "a1");
    const now = await mesh.ip("h1", "a1");
    assert.ok(now !== "" && ![...ips.values()].includes(now), now);
    await eventually("it is reached everywhere", 10_000, async () => {
      assert.equal(await fetch("h3", "c1", now), "a1");
      assert.equal(await fetch("h2", "b1", ips.get("c1") ?? ""), "c1");
    });
    await eventually("nothing is wrong", 20_000, async () => {
      for (const host of HOSTS) assert.deepEqual(await problems(host), [], host);
    });
    const given = await Promise.all(HOSTS.map((host) => mesh.web(host, `n-${host}`)));
    assert.equal(new Set([...given, ...ips.values(), now]).size, 7);
    const again = await mesh.cli("h1", "adopt", "h3", "--yes");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /same mesh/);
  });

  it("a daemon that is started again stays where it is", async () => {
    await mesh.ok("h1", ["kill", "-9", `${await mesh.daemonPid("h1")}`]);
    await mesh.launch("h1", []);
    await eventually("h1 is a member", 20_000, async () => {
      const { members, self } = await roster("h1");
      assert.deepEqual([members.length, self], [3, "member"]);
      assert.deepEqual(await problems("h1"), []);
    });
  });
});
