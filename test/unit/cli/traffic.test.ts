/** Traffic and MTU by peer: what is counted, what is told, and what a peer may not make us do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mtuTo } from "../../../cli/wiring/peer-mtu.ts";
import { TrafficWatch } from "../../../cli/wiring/traffic.ts";
import type { Member } from "../../../mesh/index.ts";
import { elementsText, readTraffic, trafficText } from "../../../overlay/traffic.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

function member(id: string, hosts: readonly string[], more: Partial<Member> = {}): Member {
  const [host = ""] = hosts;
  const advertise = { host, port: 6783 };
  const fixed = { name: id, incarnation: 1, sinceMs: 0, rttMs: null, self: false };
  return { id, advertise, hosts, state: "alive", ...fixed, ...more };
}

const SELF = member("self", ["192.0.2.1"], { self: true });
const TWO = member("two", ["192.0.2.2", "FD00:0:0::2"]);

/** A kernel whose counters grow by 1000 in and 10 out an address and look. */
function world(members: readonly Member[]) {
  const clock = new VirtualClock();
  const asked: string[][] = [];
  const state = { looks: 0, isLost: false, tookMs: 0 };
  const watch = new TrafficWatch({
    clock,
    members: () => members,
    look: async (addresses) => {
      asked.push([...addresses]);
      state.looks += 1;
      if (state.isLost) return undefined;
      const tally = (each: number) =>
        new Map([...addresses].map((address) => [address, state.looks * each]));
      return { isWhole: true, in: tally(1000), out: tally(10) };
    },
  });
  return { clock, asked, state, watch };
}

describe("traffic", () => {
  it("adds a peer's addresses, and tells bytes a second between two looks", async () => {
    const { clock, asked, watch } = world([SELF, TWO]);
    assert.equal(watch.of(TWO), null, "before the first look");
    await watch.start();
    assert.deepEqual(asked, [["192.0.2.2", "fd00::2"]], "not its own, and as the kernel writes");
    const rates = { inBytesPerSecond: null, outBytesPerSecond: null };
    assert.deepEqual(watch.of(TWO), { inBytes: 2000, outBytes: 20, ...rates });
    await clock.run(5000);
    assert.deepEqual(watch.of(TWO), {
      ...{ inBytes: 4000, outBytes: 40, inBytesPerSecond: 400, outBytesPerSecond: 4 },
    });
    assert.equal(watch.of(member("three", ["192.0.2.3"])), null, "not counted yet");
    watch.stop();
    await clock.run(60_000);
    assert.equal(asked.length, 2, "nobody looks after the stop");
  });

  it("says nothing where counters began anew or cannot be read", async () => {
    const { clock, state, watch } = world([TWO]);
    state.looks = 9;
    await watch.start();
    state.looks = 0;
    watch.of(TWO);
    await clock.run(5000);
    assert.equal(watch.of(TWO)?.inBytesPerSecond, null);
    state.isLost = true;
    await clock.run(5000);
    assert.equal(watch.of(TWO), null);
    watch.stop();
  });

  it("looks once a minute while nobody asks, and each five seconds for who does", async () => {
    const { clock, state, watch } = world([SELF, TWO]);
    await watch.start();
    await clock.run(600_000);
    assert.equal(state.looks, 11, "ten minutes that nobody asked");
    await clock.run(59_000);
    assert.equal(watch.of(TWO)?.inBytes, 22_000, "what was seen last");
    await clock.run(0);
    assert.equal(state.looks, 12, "asking brought the next look forward");
    assert.equal(watch.of(TWO)?.inBytes, 24_000);
    await clock.run(30_000);
    assert.equal(state.looks, 18, "who asks is taken to ask again");
    await clock.run(120_000);
    assert.ok(state.looks <= 21, `${state.looks} looks: nobody asks any more`);
    watch.stop();
  });

  it("counts for a peer that has just come, five seconds after the last look", async () => {
    const peers = [SELF];
    const { clock, asked, watch } = world(peers);
    await watch.start();
    await clock.run(1000);
    peers.push(TWO);
    for (let nth = 0; nth < 50; nth++) watch.hint();
    await clock.run(3900);
    assert.equal(asked.length, 1);
    await clock.run(200);
    assert.deepEqual(asked[1], ["192.0.2.2", "fd00::2"]);
    await clock.run(50_000);
    assert.equal(asked.length, 2, "many hints are one look");
    watch.stop();
  });

  it("takes no address of a peer to nft that is none", async () => {
    const hosts = ["192.0.2.9 }; delete table inet filter", "fe80::1%eth0", "::ffff:10.0.0.1", "x"];
    const { asked, watch } = world([member("evil", hosts), TWO]);
    await watch.start();
    watch.stop();
    assert.deepEqual(asked, [["10.0.0.1", "192.0.2.2", "fd00::2"]]);
  });
});

describe("the table", () => {
  const nothing = { isWhole: false, in: new Map(), out: new Map() };

  it("is known by its rules and its port", () => {
    const rule = (set: string, port: number) => ({
      rule: { expr: [{ match: { right: port } }, { match: { right: `@${set}` } }] },
    });
    const json = (port: number, ...sets: string[]) =>
      JSON.stringify({ nftables: sets.map((set) => rule(set, port)) });
    assert.equal(readTraffic(json(4789, "in4", "in6", "out4", "out6"), 4789).isWhole, true);
    assert.equal(readTraffic(json(4790, "in4", "in6", "out4", "out6"), 4789).isWhole, false);
    assert.equal(readTraffic(json(4789, "in4", "out4", "out6"), 4789).isWhole, false);
    for (const broken of [
      "",
      "{",
      "{}",
      '{"nftables":[null,1,{"set":{"name":"in4","elem":[1]}}]}',
    ]) {
      const read = readTraffic(broken, 4789);
      assert.deepEqual([read.isWhole, read.in.size], [false, 0], broken);
    }
    assert.match(
      trafficText(4789),
      /^table inet tsweave_traffic\ndelete table inet tsweave_traffic/,
    );
  });

  it("changes only what differs", () => {
    assert.equal(
      elementsText({ ...nothing, in: new Map([["10.0.0.1", 5]]) }, new Set(["10.0.0.1"])),
      "",
    );
    const text = elementsText({ ...nothing, in: new Map([["10.0.0.1", 5]]) }, new Set(["fd00::1"]));
    assert.equal(
      text,
      [
        "delete element inet tsweave_traffic in4 { 10.0.0.1 }",
        "delete element inet tsweave_traffic out4 { 10.0.0.1 }",
        "add element inet tsweave_traffic in6 { fd00::1 }",
        "add element inet tsweave_traffic out6 { fd00::1 }",
        "",
      ].join("\n"),
    );
  });
});

describe("the MTU to a peer", () => {
  const narrow = { vtep: "192.0.2.2", kind: "narrow", passesBytes: 1350 } as const;
  const cases: readonly [string, Parameters<typeof mtuTo>[1], Partial<Member>, number | null][] = [
    ["what all agreed on", [], {}, 1450],
    ["less where that was proved", [narrow], {}, 1350],
    ["nothing through a closed tunnel", [{ ...narrow, kind: "blocked" }], {}, null],
    ["full where only checksums are spoiled", [{ ...narrow, kind: "spoiled" }], {}, 1450],
    ["another peer's is not its own", [{ ...narrow, vtep: "192.0.2.3" }], {}, 1450],
    ["none of a dead peer", [], { state: "dead" }, null],
    ["none without a direct path", [], { path: { isDirect: false, sinceMs: 0 } }, null],
  ];
  for (const [name, findings, more, expected] of cases) {
    it(name, () => assert.equal(mtuTo({ ...TWO, ...more }, findings, 1450), expected));
  }
});
