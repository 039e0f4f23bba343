/** Networks of the mesh: the command, its calls, on whom it waits, and two of one name. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { networkOf, networkRemovalOf } from "../../../cli/control/network-bodies.ts";
import { AnsweredNames } from "../../../cli/wiring/answered-names.ts";
import { networkPlan } from "../../../cli/wiring/network-plan.ts";
import { createNetwork, type NetworksPorts } from "../../../cli/wiring/networks.ts";
import { SharedRows } from "../../../cli/wiring/shared-rows.ts";
import type { NameRecord } from "../../../dns/index.ts";
import type { Member } from "../../../mesh/index.ts";
import {
  endpointToWire,
  HOST_KEY,
  hostToWire,
  namesToWire,
  networkToWire,
} from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { run, serving } from "./fixture-run.ts";
import { TablesInHand, type Written } from "./fixture-tables.ts";

describe("tsweave network", () => {
  it("lists, makes and removes", async (context) => {
    const { backend, at } = await serving(context);
    const list = await run(["network", ...at]);
    assert.match(
      list.out,
      /^NETWORK .* HERE +PRESENT ON +CONFLICTS\ntsweave .* yes +host1,host2 +-\n$/,
    );
    const json = await run(["network", "ls", "--json", ...at]);
    assert.deepEqual(JSON.parse(json.out), { schema: 1, networks: backend.networks() });
    const made = await run(["network", "create", "blue", ...at]);
    assert.match(made.out, /made network blue \(10\.70\.0\.0\/16, VNI 9000001\) on every host/);
    const flags = [
      "--subnet",
      "10.9.0.0/16",
      "--internal",
      "--mtu",
      "1300",
      "--gateway",
      "10.9.0.9",
    ];
    await run(["network", "create", "red", ...flags, "--ip-range", "10.9.4.0/24", ...at]);
    const removed = await run(["network", "rm", "blue", "--subnet", "10.70.0.0/16", ...at]);
    assert.deepEqual([removed.code, removed.out], [0, "removed network blue (10.70.0.0/16)\n"]);
    assert.match(removed.err, /not yet followed: host2/);
    assert.deepEqual(JSON.parse(JSON.stringify(backend.networkWishes)), [
      { name: "blue", internal: false },
      {
        ...{ name: "red", subnet: "10.9.0.0/16", internal: true, mtu: 1300 },
        ...{ gateway: "10.9.0.9", ipRange: "10.9.4.0/24" },
      },
      { name: "blue", subnet: "10.70.0.0/16" },
    ]);
  });

  it("says where a network is, and what it is for where none runs Docker", async (context) => {
    const { backend, at } = await serving(context);
    const create = () => run(["network", "create", "blue", ...at]);
    backend.followers = { hosts: 3, engines: 2, missing: [] };
    assert.match((await create()).out, /VNI 9000001\) on every host with Docker, 2 of 3\n$/);
    backend.followers = { hosts: 3, engines: 2, missing: ["host2"] };
    const late = await create();
    assert.match(late.out, /VNI 9000001\)\n$/);
    assert.equal(late.err, "not yet followed: host2; they will\n");
    backend.followers = { hosts: 3, engines: 0, missing: [] };
    const none = await create();
    assert.match(none.out, /VNI 9000001\)\n$/);
    assert.match(
      none.err,
      /^no host of the mesh runs Docker: .*'tsweave attach TARGET --network blue'/s,
    );
  });

  it("refuses what it does not know, by name", async () => {
    const refusals: [string[], RegExp][] = [
      [["crate", "blue"], /no action 'crate'; did you mean 'create'/],
      [["create"], /create needs a NAME/],
      [["rm"], /rm needs a NAME/],
      [["ls", "blue"], /ls takes no such argument/],
      [["rm", "blue", "--internal"], /rm takes no --internal/],
      [["ls", "--subnet", "10.0.0.0/8"], /ls takes no --subnet/],
      [["create", "blue", "--mtu", "big"], /--mtu big is not a number/],
      [["create", "blue", "--subent", "10.0.0.0/8"], /--subent/],
    ];
    for (const [words, why] of refusals) {
      const { code, err } = await run(["network", ...words]);
      assert.equal(code, 2, words.join(" "));
      assert.match(err, why);
    }
  });

  it("is asked for strictly", () => {
    assert.deepEqual(networkOf({ name: "b", subnet: "10.0.0.0/8" }).subnet, "10.0.0.0/8");
    const bad: [unknown, RegExp][] = [
      [{ name: "blue", subent: "10.0.0.0/8" }, /no field 'subent'/],
      [{ name: "-blue" }, /name/],
      [{ name: "x".repeat(300) }, /name/],
      [{ name: "blue", internal: "yes" }, /internal/],
      [{ name: "blue", mtu: "1300" }, /mtu/],
      [{ name: "blue", gateway: "x".repeat(100) }, /gateway/],
      [null, /name/],
    ];
    for (const [body, why] of bad) {
      assert.throws(() => networkOf(body), { code: "BAD_REQUEST", message: why });
    }
    assert.throws(() => networkRemovalOf({ name: "b", force: true }), /no field 'force'/);
  });
});

const [SELF, FRIEND, STRANGER] = ["a", "b", "c"].map((letter) => letter.repeat(32)) as [
  string,
  string,
  string,
];
const [RED, GREEN] = ["10.50.0.0/16", "10.50.8.0/24"];

/** Three hosts have a network of one name, two of them the same. */
function rowsOf(own: boolean, more: readonly Written[] = []): SharedRows {
  const network = (vni: number, subnet: string) =>
    networkToWire({ vni, subnet, gateway: "10.50.0.1", mtuBytes: 1450, internal: false });
  const endpoint = (ip: string) =>
    endpointToWire({ network: "blue", ip, mac: "02:42:0a:32:08:05", vtep: "192.0.2.2" });
  const names = (ip: string, name: string) =>
    namesToWire({ network: "blue", ip, names: [name], ports: [], isUnhealthy: false });
  const list: Written[] = [
    ...more,
    ["networks", FRIEND, "blue", network(9_000_001, RED)],
    ["networks", STRANGER, "blue", network(9_000_002, GREEN)],
    ["endpoints", FRIEND, "e1", endpoint("10.50.8.5")],
    ["endpoints", STRANGER, "e2", endpoint("10.50.8.5")],
    ["names", FRIEND, "e1", names("10.50.8.5", "friend")],
    ["names", STRANGER, "e2", names("10.50.8.5", "stranger")],
  ];
  if (own) list.push(["networks", SELF, "blue", network(9_000_001, RED)]);
  const tables = new TablesInHand();
  for (const written of list) tables.write([written]);
  const presence = { entriesCount: () => true };
  return new SharedRows(
    { tables: tables.port, presence, members: () => [], log: new QuietLog() },
    SELF,
  );
}

describe("a network that is made", () => {
  const underlay = { vxlanPort: 4789, overlayMtuBytes: 1450, underlayMtuBytes: 1500 };
  const host = (id: string, docker: boolean): Written => {
    const row = { ...underlay, cause: "device", about: "eth0", docker } as const;
    return ["hosts", id, HOST_KEY, hostToWire(row)];
  };

  /** This host serves no Docker; the friend has followed, the stranger has not. */
  async function made(more: readonly Written[]) {
    const clock = new VirtualClock();
    const members = [SELF, FRIEND, STRANGER].map((id) => ({ id, name: id[0], state: "alive" }));
    const ports = {
      mesh: { node: { membership: { members: () => members } }, self: SELF },
      rows: rowsOf(false, more),
      charters: { charter: () => undefined, found: async () => undefined },
      ...{ docker: undefined, clock, underlay: { least: () => undefined } },
    } as unknown as NetworksPorts;
    const options = { network: "tsweave", ipallocRange: "10.32.0.0/12", underlay: 4 } as const;
    const done = { isDone: false };
    const change = createNetwork(ports, options, { name: "blue", subnet: RED, internal: false });
    const ended = change.finally(() => Object.assign(done, { isDone: true }));
    for (let looks = 0; !done.isDone && looks < 500; looks += 1) {
      await clock.run(100);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { hosts, engines, missing } = await ended;
    return { hosts, engines, missing };
  }

  it("is waited for on hosts with Docker only, and these are counted", async () => {
    const noDocker = [host(FRIEND, false), host(STRANGER, false)];
    assert.deepEqual(await made(noDocker), { hosts: 3, engines: 0, missing: [] });
    const one = [host(FRIEND, true), host(STRANGER, false)];
    assert.deepEqual(await made(one), { hosts: 3, engines: 1, missing: [] });
    // Nothing was heard of the stranger yet.
    const late = { hosts: 3, engines: 2, missing: ["c"] };
    assert.deepEqual(await made([host(FRIEND, true)]), late);
  });
});

describe("two networks of one name", () => {
  it("do not disturb one another, though they have an address in common", () => {
    const rows = rowsOf(true);
    assert.deepEqual(
      rows.remotes().map(({ id }) => id),
      ["e1"],
    );
    const answered: string[] = [];
    const dns = {
      changeRecords: (_gone: unknown, come: readonly NameRecord[]) =>
        answered.push(...come.flatMap(({ names }) => names)),
    };
    const members = () => [FRIEND, STRANGER].map((id) => ({ id, state: "alive" }) as Member);
    new AnsweredNames({ rows, dns, members, clock: new VirtualClock() }, SELF);
    assert.deepEqual(answered, ["friend"]);
    assert.deepEqual(
      rows.networkList().map(({ row, origins }) => [row.subnet, origins.length]),
      [
        [RED, 2],
        [GREEN, 1],
      ],
    );
    assert.equal(rows.endpointsOn("blue", RED).length, 1);
    assert.equal(rows.endpointsOn("blue", GREEN).length, 1);
    assert.deepEqual([rows.countOn("blue", RED), rows.countOn("blue", RED, STRANGER)], [1, 0]);
  });

  it("have numbers of their own, which stand", () => {
    const options = { leastMtuBytes: () => 1450, underlay: 4 } as const;
    const plan = networkPlan(() => rowsOf(false), { ...options, defaultNetwork: "tsweave" });
    const place = (name: string, subnet: string) =>
      plan.place({ name, subnet, underlayMtuBytes: 0 }).vni;
    assert.equal(place("blue", RED), 9_000_001);
    assert.equal(place("blue", GREEN), 9_000_002);
    assert.equal(place("tsweave", "10.32.0.0/12"), 256);
    const fresh = place("pink", RED);
    assert.ok(fresh >= 0x800000 && fresh !== 9_000_001 && fresh !== 9_000_002);
    assert.equal(place("pink", RED), fresh);
    assert.notEqual(place("pink", GREEN), fresh);
  });
});
