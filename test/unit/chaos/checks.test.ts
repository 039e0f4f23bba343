/** What hosts must tell alike, whom a name leads to, what a command may refuse; stepped clocks. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { commandsOf, isExpected } from "../../chaos/commands.ts";
import { growthOf } from "../../chaos/growth.ts";
import { expectedNames } from "../../chaos/name-checks.ts";
import { networkDifferences, ownerDifferences } from "../../chaos/shared-checks.ts";

const pool = (...owned: readonly (readonly [peer: string, ...ranges: string[]])[]) => ({
  subnet: "10.32.0.0/12",
  owned: owned.map(([peer, ...ranges]) => ({
    ...{ peer, ranges },
    ...{ addresses: 0, used: 0, reachable: peer !== "gone" },
  })),
  conflicts: [],
});

describe("owners of addresses", () => {
  const good = pool(["h1", "10.32.0.0-10.33.255.255"], ["h2", "10.34.0.0-10.47.255.255"]);

  it("are well when all hosts tell the same, in whatever order", () => {
    const turned = pool(["h2", "10.34.0.0-10.47.255.255"], ["h1", "10.32.0.0-10.33.255.255"]);
    const views = new Map([
      ["h1", [good]],
      ["h2", [turned]],
    ]);
    assert.deepEqual(ownerDifferences(views), []);
  });

  it("are two of one address, whether of a range or of one", () => {
    const bad = pool(["h1", "10.32.0.0-10.34.0.0"], ["h2", "10.34.0.0"]);
    const text = "h1: 10.32.0.0/12 has two owners: h1 10.32.0.0-10.34.0.0 and h2 10.34.0.0";
    assert.deepEqual(ownerDifferences(new Map([["h1", [bad]]])), [text]);
  });

  it("are told differently, or are not there", () => {
    const other = pool(["h1", "10.32.0.0-10.33.255.255"], ["gone", "10.34.0.0-10.47.255.255"]);
    const views = new Map([
      ["h1", [good]],
      ["h2", [other]],
    ]);
    const found = ownerDifferences(views);
    assert.equal(found.length, 2);
    assert.match(found[0] ?? "", /the owner gone is not reachable/);
    assert.match(found[1] ?? "", /h2 says .* h1 says/);
  });

  it("are not those of an address in use here", () => {
    const conflicts = [{ ip: "10.32.0.9", key: "k", owner: "h2" }];
    const found = ownerDifferences(new Map([["h1", [{ ...good, conflicts }]]]));
    assert.deepEqual(found, ["h1: 10.32.0.9 is in use here and belongs to h2"]);
  });
});

describe("networks", () => {
  const row = { name: "g1", subnet: "10.91.0.0/16", vni: 9, conflicts: [] };
  const both = { ...row, present: ["h1", "h2"] };

  it("are well when tables and engines have the same", () => {
    const tables = new Map([
      ["h1", [both]],
      ["h2", [{ ...both, present: ["h2", "h1"] }]],
    ]);
    const engines = new Map([
      ["h1", ["g1"]],
      ["h2", ["g1"]],
    ]);
    assert.deepEqual(networkDifferences(tables, engines), []);
  });

  it("lack on an engine, on a host, or have another number", () => {
    const tables = new Map([
      ["h1", [{ ...both, present: ["h1"] }]],
      ["h2", [{ ...both, vni: 8, conflicts: ["two of one name"] }]],
    ]);
    const engines = new Map([
      ["h1", ["g1"]],
      ["h2", [] as string[]],
    ]);
    assert.deepEqual(networkDifferences(tables, engines), [
      "h1: network g1 is on h1, not h1,h2",
      "h2 has networks g1 10.91.0.0/16 8, h1 has g1 10.91.0.0/16 9",
      "h2: network g1: two of one name",
      "h2: the engine has networks , not g1",
    ]);
  });
});

describe("names", () => {
  const place = (network: string, name: string, ip: string, ...aliases: string[]) => ({
    ...{ network, name, ip, aliases },
  });
  const places = [
    place("tsweave", "web", "10.32.0.2", "g1web"),
    place("g1", "web", "10.91.0.2", "web", "front"),
    place("g1", "other", "10.91.0.3", "front"),
  ];

  it("are those of the asker's networks alone", () => {
    const outside = expectedNames(places, new Set(["tsweave"]));
    assert.deepEqual([...outside.keys()], ["web", "g1web"]);
    const inside = expectedNames(places, new Set(["tsweave", "g1"]));
    assert.deepEqual([...(inside.get("web") ?? [])], ["10.32.0.2", "10.91.0.2"]);
    assert.deepEqual([...(inside.get("front") ?? [])], ["10.91.0.2", "10.91.0.3"]);
  });
});

describe("a group", () => {
  const up = { kind: "group-up", host: "h2", group: "g1", by: "docker" } as const;
  const down = { ...up, kind: "group-down" } as const;

  it("is a network of its own, two containers, and one of them on the mesh's network too", () => {
    const [create, db, web, connect] = commandsOf(up).map((argv) => argv.join(" "));
    assert.match(create ?? "", /^docker network create -d tsweave .*10\.91\.0\.0\/16 g1$/);
    assert.match(db ?? "", /--net g1 --name g1-db-h2 --network-alias db/);
    assert.match(web ?? "", /--net g1 --name g1-web-h2 --network-alias web/);
    assert.match(connect ?? "", /connect --alias g1web tsweave g1-web-h2$/);
    assert.match(commandsOf({ ...down, by: "tsweave" })[1]?.join(" ") ?? "", / network rm g1$/);
  });

  it("may find its network made, in use or gone, and nothing else", () => {
    assert.ok(isExpected(up, "Error response: network with name g1 already exists"));
    assert.ok(!isExpected(down, "Error response: network with name g1 already exists"));
    assert.ok(isExpected(down, "network g1 is in use by g1-db-h1 on h1"));
    assert.ok(isExpected(up, "Error response from daemon: network g1 not found"));
    assert.ok(isExpected(down, "Error: No such network: g1"));
    assert.ok(!isExpected(up, "no address is free"));
    assert.ok(!isExpected(down, "no answer"));
  });
});

describe("a daemon's growth", () => {
  const size = (rssMib: number, fds = 50, containers = 5, stateKib = 100) => ({
    ...{ rssMib, fds, containers, stateKib },
  });

  it("is what its memory shows three times in a row, not once", () => {
    assert.deepEqual(growthOf([size(100), size(170)]), []);
    assert.deepEqual(growthOf([size(100), size(170), size(110), size(175)]), []);
    const text = "grew from 100 to 165 MiB and more";
    assert.deepEqual(growthOf([size(100), size(170), size(165), size(175)]), [text]);
  });

  it("is what its state shows three times in a row", () => {
    const kib = (stateKib: number) => size(100, 50, 5, stateKib);
    assert.deepEqual(growthOf([kib(100), kib(1300), kib(1200)]), []);
    const text = "had 100 KiB of state and has 1200 and more";
    assert.deepEqual(growthOf([kib(100), kib(1300), kib(1200), kib(1400)]), [text]);
  });

  it("is descriptors beyond those of its containers", () => {
    assert.deepEqual(growthOf([size(100), size(100, 90, 7)]), []);
    assert.deepEqual(growthOf([size(100), size(100, 90, 5)]), ["had 50 and has 90 descriptors"]);
  });
});

describe("a stepped clock", () => {
  const preload = fileURLToPath(new URL("../../chaos/clock-offset.mjs", import.meta.url));
  const program = "console.log(Date.now(), new Date().getTime(), new Date(5).getTime())";

  async function clockWith(offset: string): Promise<number[]> {
    const dir = mkdtempSync(join(tmpdir(), "tsweave-clock-"));
    try {
      const file = join(dir, "clock");
      writeFileSync(file, offset);
      const env = { ...process.env, TSWEAVE_CHAOS_CLOCK: file };
      const argv = ["--import", preload, "-e", program];
      const { stdout } = await promisify(execFile)(process.execPath, argv, { env });
      return stdout.trim().split(" ").map(Number);
    } finally {
      rmSync(dir, { recursive: true });
    }
  }

  it("is off by what the file says, and dates that are given are not", async () => {
    for (const offsetMs of [86_400_000, -3_600_000, 0]) {
      const before = Date.now();
      const [now = 0, date = 0, given] = await clockWith(`${offsetMs}\n`);
      const after = Date.now();
      for (const told of [now, date]) {
        assert.ok(told >= before + offsetMs && told <= after + offsetMs, `${told - before}`);
      }
      assert.equal(given, 5);
    }
  });
});
