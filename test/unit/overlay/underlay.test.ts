/** What a host offers, the least of the mesh, and what probes of tunnels prove. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Errand, PathProofs, type ProbeResult } from "../../../overlay/paths/proofs.ts";
import {
  type HostRow,
  hostFromWire,
  hostToWire,
  leastOffer,
  offerOf,
} from "../../../overlay/underlay.ts";

const OWN = { vxlanPort: 4789, underlay: 4, fixedBytes: undefined, docker: false } as const;
const route = (vtep: string, device: string, mtuBytes: number, isOwn = false) => ({
  ...{ vtep, device, mtuBytes, isOwn },
});

describe("what a host offers", () => {
  const view = { device: "eth0", mtuBytes: 1500, routes: [] };

  it("is its device's without peers, else that of the routes to them", () => {
    const alone = offerOf(view, new Map(), OWN);
    assert.deepEqual([alone.overlayMtuBytes, alone.cause, alone.about], [1450, "device", "eth0"]);
    const routes = [route("192.0.2.2", "eth1", 9000), route("192.0.2.3", "wg0", 1420)];
    const tunnel = offerOf({ ...view, routes }, new Map(), OWN);
    assert.deepEqual([tunnel.overlayMtuBytes, tunnel.about], [1370, "wg0"]);
    const jumbo = offerOf({ ...view, routes: routes.slice(0, 1) }, new Map(), OWN);
    assert.deepEqual([jumbo.overlayMtuBytes, jumbo.underlayMtuBytes], [8950, 9000]);
    const own = offerOf(
      { ...view, routes: [route("192.0.2.2", "eth0", 1400, true)] },
      new Map(),
      OWN,
    );
    assert.deepEqual([own.cause, own.about], ["route", "192.0.2.2"]);
  });

  it("is less where a path is proved to be, and what --mtu says where that is given", () => {
    const routes = [route("192.0.2.2", "eth0", 1500), route("192.0.2.3", "eth0", 1500)];
    const proved = new Map([["192.0.2.3", 1404]]);
    const cut = offerOf({ ...view, routes }, proved, OWN);
    assert.deepEqual([cut.overlayMtuBytes, cut.cause, cut.about], [1354, "path", "192.0.2.3"]);
    const fixed = offerOf({ ...view, routes }, proved, { ...OWN, fixedBytes: 8000 });
    assert.deepEqual([fixed.overlayMtuBytes, fixed.cause], [8000, "operator"]);
    const v6 = offerOf({ ...view, routes }, new Map(), { ...OWN, underlay: 6 });
    assert.equal(v6.overlayMtuBytes, 1430);
    const tiny = offerOf({ ...view, mtuBytes: 300 }, new Map(), OWN);
    assert.equal(tiny.overlayMtuBytes, 576, "never less than what IPv4 must carry");
  });

  it("travels as a row, strictly read", () => {
    const row = offerOf(view, new Map(), OWN);
    assert.deepEqual(hostFromWire(hostToWire(row)), row);
    assert.deepEqual(hostFromWire([...(hostToWire(row) as never[]), "more"]), row);
    const earlier = (hostToWire(row) as never[]).slice(0, 5);
    assert.deepEqual(hostFromWire(earlier), { ...row, docker: true }, "of a version without it");
    assert.throws(() => hostFromWire([...earlier, "no"]), { code: "BAD_MESSAGE" });
    for (const bad of [null, [], [0, 1450, 1500, 0, "eth0"], [4789, 5, 1500, 0, "eth0"]]) {
      assert.throws(() => hostFromWire(bad), { code: "BAD_MESSAGE" });
    }
  });

  it("counts by the least, the same on every host", () => {
    const offer = (origin: string, overlayMtuBytes: number) => ({
      origin,
      row: { ...offerOf(view, new Map(), OWN), overlayMtuBytes } satisfies HostRow,
    });
    const all = [offer("c", 1400), offer("a", 1450), offer("b", 1400)];
    assert.equal(leastOffer(all)?.origin, "b");
    assert.equal(leastOffer(all.toReversed())?.origin, "b");
    assert.equal(leastOffer([]), undefined);
  });
});

const VTEP = "192.0.2.2";
const WELL: ProbeResult = { small: 3, tries: 3, isFull: true, largestBytes: null, isChecked: true };
const CUT: ProbeResult = { ...WELL, isFull: false, largestBytes: 1354 };
const SILENT: ProbeResult = { ...WELL, small: 0, isFull: false, isChecked: null };

/** Runs rounds as they fall due; tells when each was. */
function rounds(
  proofs: PathProofs,
  results: readonly ProbeResult[],
  fromMs = 0,
  fullBytes = 1450,
): number[] {
  const times: number[] = [];
  let nowMs = fromMs;
  for (const result of results) {
    let due: Errand[] = [];
    while (due.length === 0) {
      due = proofs.due([VTEP], fullBytes, nowMs);
      if (due.length === 0) nowMs += 1000;
    }
    times.push(nowMs);
    for (const errand of due) proofs.take(errand, result, nowMs);
  }
  return times;
}

const kinds = (proofs: PathProofs) => proofs.findings().map(({ kind }) => kind);

describe("what probes prove", () => {
  it("nothing by one round, and nothing while small packets are lost as well", () => {
    const proofs = new PathProofs();
    rounds(proofs, [CUT, CUT]);
    assert.deepEqual([proofs.limits().size, kinds(proofs)], [0, []]);
    const lossy = new PathProofs();
    rounds(
      lossy,
      Array.from({ length: 9 }, () => ({ ...CUT, small: 2, largestBytes: null })),
    );
    assert.deepEqual([lossy.limits().size, kinds(lossy)], [0, []]);
  });

  it("a narrow path by three, the best of them counting; its end by two whole ones", () => {
    const proofs = new PathProofs();
    const times = rounds(proofs, [
      { ...CUT, largestBytes: 900 },
      CUT,
      { ...CUT, largestBytes: 1000 },
    ]);
    assert.deepEqual(times, [0, 5000, 10_000]);
    assert.deepEqual([...proofs.limits()], [[VTEP, 1354]]);
    assert.deepEqual(proofs.findings(), [{ vtep: VTEP, kind: "narrow", passesBytes: 1354 }]);
    // It is looked at again at growing distance, and one whole packet is no end of it.
    const later = rounds(proofs, [CUT, CUT, WELL], 11_000);
    assert.ok((later[0] ?? 0) >= 60_000 && (later[1] ?? 0) - (later[0] ?? 0) >= 60_000);
    assert.equal(proofs.limits().size, 1);
    const [again] = rounds(proofs, [WELL], (later[2] ?? 0) + 1000);
    assert.equal(proofs.limits().size, 0);
    assert.ok((again ?? 0) - (later[2] ?? 0) <= 6000);
  });

  it("a size that fits the proof does not end it, and a proof outlives a restart", () => {
    const proofs = new PathProofs(new Map([[VTEP, 1354]]));
    rounds(proofs, [WELL, WELL, WELL], 0, 1350);
    assert.deepEqual([...proofs.limits()], [[VTEP, 1354]]);
    assert.equal(proofs.due([], 1450, 0).length, 0);
    assert.equal(proofs.limits().size, 1, "a peer that is away");
  });

  it("a tunnel that carries nothing, by four rounds; and the end of that by one", () => {
    const proofs = new PathProofs();
    const times = rounds(proofs, [SILENT, SILENT, SILENT]);
    assert.deepEqual(kinds(proofs), []);
    rounds(proofs, [SILENT], (times[2] ?? 0) + 1000);
    assert.deepEqual(kinds(proofs), ["blocked"]);
    assert.equal(proofs.limits().size, 0);
    rounds(proofs, [WELL], 60_000);
    assert.deepEqual(kinds(proofs), []);
  });

  it("spoiled checksums by two", () => {
    const proofs = new PathProofs();
    rounds(proofs, [{ ...WELL, isChecked: false }]);
    assert.deepEqual(kinds(proofs), []);
    rounds(proofs, [{ ...WELL, isChecked: false }], 1000);
    assert.deepEqual(kinds(proofs), ["spoiled"]);
    rounds(proofs, [WELL], 60_000);
    assert.deepEqual(kinds(proofs), []);
  });

  it("costs the same however many peers there are, and forgets who is gone", () => {
    const proofs = new PathProofs();
    const vteps = Array.from({ length: 40 }, (_, at) => `192.0.2.${at + 1}`);
    let sent = 0;
    for (let nowMs = 0; nowMs < 3_600_000; nowMs += 5000) {
      const due = proofs.due(vteps, 1450, nowMs);
      assert.ok(due.length <= 16);
      sent += due.length;
      for (const errand of due) proofs.take(errand, WELL, nowMs);
    }
    assert.ok(sent <= 40 + 3600 / 15 + 40, `${sent} rounds in an hour`);
    proofs.doubt(3_600_000);
    assert.equal(proofs.due(vteps, 1450, 3_600_000).length, 16);
    proofs.due([], 1450, 3_600_000);
    assert.deepEqual(proofs.findings(), []);
  });
});
