/** Groups of all hosts as `status groups` shows them, and what a person is told of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type GroupPorts, groupProblems, groupRows } from "../../../cli/wiring/groups.ts";
import type { LocalGroups } from "../../../overlay/groups/watch.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const [SELF, HOST2, HOST3] = ["a".repeat(32), "b".repeat(32), "c".repeat(32)];
const KEY = "0123456".padEnd(64, "0");

function ports(local: Readonly<Record<string, Partial<LocalGroups>>>): GroupPorts {
  const none = { told: [], joins: new Map(), leftOut: 0, unknownSinceMs: undefined };
  const known = new Map(Object.entries(local).map(([name, more]) => [name, { ...none, ...more }]));
  const row = (origin: string, key: string, ...groups: string[]) => {
    return { origin, key, row: { vtep: "192.0.2.2", groups } };
  };
  const rows = [
    row(SELF, "tsweave", "239.1.1.1"),
    row(HOST2, "tsweave", "239.1.1.10", "239.1.1.1"),
    row(HOST3, "tsweave", "239.1.1.9"),
    row(HOST2, "elsewhere", "239.1.1.1"),
    row(HOST2, "other", "239.1.1.1"),
  ];
  return {
    rows: {
      groups: { rows: () => rows },
      names: { get: () => ({ names: ["web", "www"] }) },
      endpoints: { rows: () => [{ origin: SELF, key: KEY }] },
      presence: { entriesCount: (peer: string) => peer !== HOST3 },
      isShared: (_peer: string, network: string) => network !== "other",
    },
    mesh: {
      self: SELF,
      node: { membership: { members: () => [{ id: HOST2, name: "host2" }] } },
    },
    groups: { local: () => known },
  } as unknown as GroupPorts;
}

test("a group is shown with its members here and the peers that have some", () => {
  const joins = new Map([
    ["veth0123456", new Set(["239.1.1.1"])],
    ["veth9999999", new Set(["239.1.1.1"])],
  ]);
  const reply = groupRows(ports({ tsweave: { joins, leftOut: 2 }, other: { leftOut: 1 } }));
  assert.deepEqual(reply, {
    groups: [
      {
        network: "tsweave",
        group: "239.1.1.1",
        containers: ["veth9999999", "web"],
        peers: ["host2"],
      },
      { network: "tsweave", group: "239.1.1.10", containers: [], peers: ["host2"] },
    ],
    notTold: 3,
  });
});

test("too many groups are a problem, and a bridge that tells nothing for a minute", async () => {
  const clock = new VirtualClock();
  const start = clock.nowMs();
  const local = { tsweave: { leftOut: 4 }, blue: { unknownSinceMs: start }, fine: {} };
  const codes = () => groupProblems({ ...ports(local), clock }).map(({ code }) => code);
  assert.deepEqual(codes(), ["GROUPS_FULL"]);
  await clock.run(61_000);
  assert.deepEqual(codes(), ["GROUPS_FULL", "GROUPS_UNREAD"]);
});
