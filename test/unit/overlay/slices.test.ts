/** Work in slices: who is let in when, and that the result is that of one go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TsweaveError } from "../../../mesh/index.ts";
import { canonicalIp, macOf } from "../../../overlay/address.ts";
import { desiredInSlices, desiredNetwork } from "../../../overlay/desired.ts";
import { diff, diffInSlices } from "../../../overlay/diff.ts";
import { type Fields, jsonRows } from "../../../overlay/json-rows.ts";
import type { RemoteEndpoint } from "../../../overlay/model.ts";
import { observationInSlices, parseObservation } from "../../../overlay/observe.ts";
import { render, renderInSlices } from "../../../overlay/render.ts";
import { inSlices, type Sliced, Slices, whole } from "../../../overlay/slices.ts";
import type { Step } from "../../../overlay/state.ts";
import { BusyClock } from "../../lib/busy-clock.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { local, NET, NETNS, OPTIONS, PROOF, remote } from "./samples.ts";

function* sum(count: number): Sliced<number> {
  let total = 0;
  yield* inSlices(Array(count).fill(1), (one: number) => {
    total += one;
  });
  return total;
}

test("others are let in between slices, and never by work of a few rows", async () => {
  const clock = new BusyClock();
  const slices = new Slices(clock);
  assert.equal(await slices.run(sum(200)), 200);
  assert.equal(clock.turns, 0);
  assert.equal(await slices.run(sum(10_000)), 10_000);
  assert.equal(clock.turns, 40);
  const quick = new VirtualClock();
  assert.equal(await new Slices(quick).run(sum(10_000)), 10_000, "no time has passed");
  assert.deepEqual(quick.armed(), []);
});

test("pieces of work side by side share the time of a slice", async () => {
  const clock = new BusyClock();
  const slices = new Slices(clock);
  const all = await Promise.all([1, 2, 3, 4].map(() => slices.run(sum(10_000))));
  assert.deepEqual(all, [10_000, 10_000, 10_000, 10_000]);
  assert.ok(clock.turns <= 45, `${clock.turns} turns`);
});

test("what sliced work throws reaches who asked", async () => {
  const clock = new BusyClock();
  function* bad(): Sliced<void> {
    yield* sum(1000);
    throw new Error("after a while");
  }
  await assert.rejects(new Slices(clock).run(bad()), /after a while/);
  assert.throws(() => whole(bad()), /after a while/);
});

test("the text of a dry run is made in slices, too", async () => {
  const clock = new BusyClock();
  const steps = Array.from({ length: 10_000 }, (_, at): Step => {
    return { kind: "neigh-del", netns: NETNS, ip: `10.33.${at >> 8}.${at & 255}` };
  });
  const batches = await new Slices(clock).run(renderInSlices(steps, "host"));
  assert.ok(clock.turns >= 39, `${clock.turns} turns`);
  assert.deepEqual(batches, render(steps, "host"));
});

const rowsOf = (text: string): Fields[] => {
  const found: Fields[] = [];
  whole(jsonRows(text, "it", (row) => found.push(row)));
  return found;
};

/** Rows with all that could mislead a cut. */
const ROW = fc.oneof(
  fc.constantFrom<unknown>("},{", { a: "},{" }, { a: '\\"},{' }, {}, 7, null),
  fc.record({ a: fc.string(), nested: fc.array(fc.record({ b: fc.jsonValue() })) }),
);

test("rows read in pieces are those of JSON.parse", () => {
  const property = fc.property(fc.array(ROW, { minLength: 1, maxLength: 40 }), (some) => {
    const all: unknown[] = [];
    while (all.length < 6000) all.push(...some);
    const text = JSON.stringify(all);
    const expected = all.filter((row) => typeof row === "object" && row !== null);
    assert.deepEqual(rowsOf(text), JSON.parse(JSON.stringify(expected)));
  });
  fc.assert(property, { numRuns: 30 });
});

test("one row longer than a piece is read, and each broken text is an error", () => {
  const long = { a: Array.from({ length: 30_000 }, (_, b) => ({ b })) };
  assert.deepEqual(rowsOf(JSON.stringify([long, long])), [long, long]);
  const text = JSON.stringify(Array(9000).fill({ mac: "02:42:0a:20:00:09", state: "" }));
  const isTold = (error: unknown) =>
    error instanceof TsweaveError && /it: no JSON/.test(error.line);
  for (const broken of [text.slice(0, -1), text.slice(1), `${text}]`, text.replace("[", "{")]) {
    assert.throws(() => rowsOf(broken), isTold);
  }
  const middle = text.length / 2;
  assert.throws(() => rowsOf(`${text.slice(0, middle)}{${text.slice(middle)}`), isTold);
});

/** The tables of remote rows by the rule itself: all rows in one order, the first wins. */
function entriesByRule(remotes: readonly RemoteEndpoint[]) {
  const neighbours = new Map<string, string>();
  const forwards = new Map<string, string>();
  const key = ({ peer, id }: RemoteEndpoint) => `${peer} ${id}`;
  for (const { ip, mac, vtep } of remotes.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    if (neighbours.has(ip) || (forwards.get(mac) ?? vtep) !== vtep) continue;
    neighbours.set(canonicalIp(ip), mac);
    forwards.set(mac, vtep);
  }
  return { neighbours, forwards };
}

const ADDRESS = fc.integer({ min: 2, max: 400 }).map((n) => `10.33.${n >> 8}.${n & 255}`);
const REMOTES = fc.array(
  fc.record({
    ...{ ip: ADDRESS, mac: ADDRESS.map(macOf), network: fc.constant(NET.name) },
    id: fc.nat().map((n) => n.toString(16).padStart(8, "0")),
    vtep: fc.integer({ min: 2, max: 9 }).map((n) => `192.0.2.${n}`),
    peer: fc.constantFrom("b", "c", "d").map((digit) => digit.repeat(32)),
  }),
  { minLength: 300, maxLength: 1500 },
);

test("the desired state and the way to it are the same in slices and in one go", async () => {
  const property = fc.asyncProperty(REMOTES, REMOTES, async (before, after) => {
    const slices = new Slices(new BusyClock());
    const args = [NET, [local("1", "10.32.0.5")], after, OPTIONS] as const;
    const wanted = await slices.run(desiredInSlices(...args));
    assert.deepEqual(wanted, desiredNetwork(...args));
    const { neighbours, forwards } = entriesByRule(after);
    assert.deepEqual([...wanted.remote.neighbours], [...neighbours]);
    assert.deepEqual([...wanted.remote.forwards], [...forwards]);
    const fdb = before.map(({ mac, vtep }) => ({ mac, dst: vtep, state: "permanent" }));
    const neigh = before.map(({ ip, mac }) => ({ dst: ip, lladdr: mac }));
    const raw = { ip: `[]\n${JSON.stringify(neigh)}\n`, fdb: JSON.stringify(fdb), filters: "" };
    const seen = await slices.run(observationInSlices("ns", raw));
    assert.deepEqual(seen, parseObservation("ns", raw));
    const steps = await slices.run(diffInSlices(wanted, seen, PROOF));
    assert.deepEqual(steps, diff(wanted, seen, PROOF));
  });
  await fc.assert(property, { numRuns: 20 });
});

test("a row that comes twice is one entry", () => {
  const twice = [remote("10.32.0.9"), remote("10.32.0.9")];
  assert.equal(desiredNetwork(NET, [], twice, OPTIONS).remote.neighbours.size, 1);
});
