/** `tsweave test`: which pairs are tried, what is said of them, and the questions between hosts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { MeshTest, ProbeRow } from "../../../cli/control/probe-api.ts";
import { judgePair, planPairs } from "../../../cli/doctor/pairs.ts";
import { testText } from "../../../cli/render/test-text.ts";
import { askProbes, serveProbes } from "../../../cli/wiring/mesh-probe.ts";
import type { Rpc, WireValue } from "../../../mesh/index.ts";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";
import { FakeBackend, HOST1 } from "./fixture-facts.ts";
import { run, serving } from "./fixture-run.ts";

const path = { rttMs: 0.4, largestBytes: 1500, neededBytes: 1500, error: null };
const WELL: ProbeRow = {
  ...{ from: "a", to: "b", gossip: "established", direct: true, rttMs: 0.5, streamMs: 1.25 },
  ...{ underlay: path, tunnel: { ...path, network: "tsweave" }, error: null },
  tunnelBytes: 1450,
};

describe("the plan", () => {
  it("has every pair of a small mesh, and of any with --all", () => {
    const ids = (count: number) => Array.from({ length: count }, (_, at) => `p${at}`);
    for (const [count, all] of [
      [1, false],
      [2, false],
      [16, false],
      [40, true],
    ] as const) {
      const plan = planPairs(ids(count), all);
      for (const [from, to] of plan) {
        assert.deepEqual([from, ...to].toSorted(), ids(count).toSorted());
      }
      assert.equal(plan.size, count);
    }
  });

  it("tries some of a large one from every host, at and from both sides of any cut", () => {
    const bound = fc.integer({ min: 17, max: 1000 });
    fc.assert(
      fc.property(bound, fc.infiniteStream(fc.boolean()), (count, sides) => {
        const ids = Array.from({ length: count }, (_, at) => String(at));
        const side = new Map(ids.map((id) => [id, sides.next().value === true]));
        const plan = planPairs(ids, false);
        const tried = [...plan].flatMap(([from, to]) => to.map((id) => [from, id] as const));
        const most = Math.ceil(Math.log2(count));
        assert.ok([...plan.values()].every((to) => new Set(to).size === most));
        assert.ok(tried.every(([from, to]) => from !== to));
        if (new Set(side.values()).size === 1) return;
        for (const way of [true, false]) {
          assert.ok(tried.some(([from, to]) => side.get(from) === way && side.get(to) !== way));
        }
      }),
      { seed: 7, numRuns: 60 },
    );
  });
});

describe("the verdict of a pair", () => {
  const cut = { ...path, largestBytes: 1400 };
  const silent = { ...path, largestBytes: null, error: "no echo comes back" };
  const cases: readonly [string, Partial<ProbeRow>, string, RegExp | null][] = [
    ["all well", {}, "", null],
    ["no containers", { tunnel: null }, "", null],
    [
      "a tunnel without containers that carries nothing",
      { tunnel: null, tunnelBytes: null },
      "tunnel",
      /the tunnel carries nothing/,
    ],
    ["no echoes, but a tunnel", { underlay: silent }, "", null],
    ["not asked", { error: "it does not answer" }, "unasked", /h-a to h-b: not measured: it does/],
    ["lost", { gossip: "lost", streamMs: null }, "gossip,stream", /gossip lost/],
    ["through others", { direct: false }, "direct", /only other peers reach it/],
    ["TCP closed", { streamMs: null }, "stream", /no answer over the stream port/],
    ["narrow", { underlay: cut }, "underlay", /packets up to 1400 bytes pass, 1500 are needed/],
    [
      "tunnel shut",
      { tunnel: { ...silent, network: "back" } },
      "tunnel",
      /tunnel of back: no echo comes back/,
    ],
  ];
  for (const [name, change, faults, text] of cases) {
    it(name, () => {
      const pair = judgePair({ ...WELL, ...change }, (id) => `h-${id}`);
      assert.equal(pair.faults.join(), faults);
      if (text === null) assert.deepEqual([pair.text, pair.next], [null, null]);
      else {
        assert.match(pair.text ?? "", text);
        assert.match(pair.next ?? "", /tsweave ping h-/);
      }
    });
  }
});

describe("between hosts", () => {
  /** Two ends of one wire: what is served is what is called, over real bytes. */
  function wire(): Rpc {
    let handle: ((from: string, body: WireValue) => Promise<WireValue>) | undefined;
    return {
      serve: (_service, serve) => {
        handle = serve;
        return () => undefined;
      },
      call: async (_peer, _service, body) => {
        const answer = await handle?.(HOST1, decodeWire(encodeWire(body)));
        return decodeWire(encodeWire(answer ?? null));
      },
    };
  }
  const ask = async (id: string) => ({
    ...{ peer: "host2", id, tookMs: 1.25, version: "1", vxlanPort: 4789 },
    ...{ underlayMtuBytes: 1500, clockAheadMs: 0, overlaps: null, error: null },
  });

  it("a row arrives as it was measured", async () => {
    const rpc = wire();
    const facts = new FakeBackend();
    serveProbes(rpc, { facts, ask });
    const [{ id: other = "" } = {}] = facts.connections();
    const to = ["f".repeat(32), other];
    const [unknown, known] = await askProbes(rpc, { facts, ask }, { from: "e".repeat(32), to });
    assert.equal(unknown?.error, "it does not know that peer");
    assert.deepEqual([unknown?.gossip, unknown?.underlay], [null, null]);
    assert.deepEqual([known?.gossip, known?.direct, known?.rttMs], ["doubtful", false, 0.82]);
    assert.deepEqual([known?.streamMs, known?.tunnelBytes], [1.25, null]);
    assert.equal(known?.underlay?.neededBytes, 1500);
    assert.equal(known?.error, null);
  });

  it("strange questions are refused", async () => {
    const rpc = wire();
    serveProbes(rpc, { facts: new FakeBackend(), ask });
    for (const body of [null, [], ["x"], [1], Array(17).fill("f".repeat(32))]) {
      await assert.rejects(rpc.call(HOST1, "probe", body, 1000), /probe/);
    }
  });
});

describe("the command", () => {
  it("ends with 4 when a peer does not answer", async (context) => {
    const { at } = await serving(context);
    const { code, out, err } = await run(["test", ...at]);
    assert.deepEqual([code, err], [4, ""]);
    assert.match(out, /^1 peer, 0 pairs tried, .*\nHealth:\n {2}- host2 does not answer -> /);
  });

  it("shows faults with the next command", () => {
    const bad = judgePair({ ...WELL, from: "b", to: "a", gossip: "lost" }, (id) => `h${id}`);
    const pairs = [judgePair(WELL, (id) => `h${id}`), bad];
    const peers = ["a", "b"].map((id) => ({ id, name: `h${id}` }));
    const counts = { pairsAll: 2, pairsTried: 2, tunnelsTried: 2, tookMs: 40 };
    const test: MeshTest = { ok: false, peers, absent: [], ...counts, pairs };
    assert.equal(
      testText(test),
      [
        "2 peers, 2 pairs tried, tunnels of 2, 1 pair not well, 40ms",
        "",
        "FROM / TO  ha      hb",
        "ha         .       ok",
        "hb         gossip  .",
        "Health:",
        "  - hb to ha: gossip lost -> on hb: tsweave ping ha",
        "",
      ].join("\n"),
    );
  });
});
