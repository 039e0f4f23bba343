/** Tunnels probed and mended, the MTU of the mesh, and what is said of the underlay. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { problemsOf } from "../../../cli/wiring/problems.ts";
import { type TunnelPorts, Tunnels } from "../../../cli/wiring/tunnels.ts";
import { Underlay } from "../../../cli/wiring/underlay.ts";
import {
  mtuReason,
  offloadProblems,
  tunnelProblems,
  vxlanPortProblems,
} from "../../../cli/wiring/underlay-problems.ts";
import type { Member, MemberState } from "../../../mesh/index.ts";
import {
  HOST_KEY,
  type HostRow,
  type ProbeResult,
  type UnderlayView,
} from "../../../overlay/index.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { WELL } from "./fixture-problems.ts";

const [A, B, C] = ["a", "b", "c"].map((one) => one.repeat(32)) as [string, string, string];

function member(id: string, host: string, state: MemberState = "alive"): Member {
  const name = id === A ? "h1" : id === B ? "h2" : "h3";
  const advertise = { host, port: 6783 };
  const life = { incarnation: 1, sinceMs: -60_000, rttMs: null };
  return { id, name, advertise, state, self: id === A, ...life };
}

const MEMBERS = [member(A, "192.0.2.1"), member(B, "192.0.2.2"), member(C, "192.0.2.3")];

function offer(origin: string, more: Partial<HostRow> = {}) {
  const row: HostRow = {
    ...{ vxlanPort: 4789, overlayMtuBytes: 1450, underlayMtuBytes: 1500 },
    ...{ cause: "device", about: "eth0", docker: true, ...more },
  };
  return { origin, row };
}

describe("what is said of the underlay", () => {
  it("names peers at another VXLAN port, a few one by one", () => {
    assert.deepEqual(vxlanPortProblems(MEMBERS, [offer(B)], 4789), []);
    const [one, ...more] = vxlanPortProblems(MEMBERS, [offer(B, { vxlanPort: 4790 })], 4789);
    assert.match(one?.text ?? "", /^h2 sends container traffic to UDP 4790, this host to 4789/);
    assert.deepEqual(more, []);
    const ids = Array.from({ length: 12 }, (_, at) => at.toString(16).repeat(32));
    const many = ids.map((id, at) => member(id, `192.0.2.${at + 1}`));
    const rows = many.map(({ id }) => offer(id, { vxlanPort: 8472 }));
    assert.equal(vxlanPortProblems(many, rows, 4789).length, 9);
  });

  it("says why a network has its MTU", () => {
    const reason = (more: Partial<HostRow>, mtu = 1450) => mtuReason(mtu, offer(B, more), MEMBERS);
    assert.equal(reason({}), "eth0 of h2 has 1500");
    assert.equal(reason({ cause: "operator" }), "--mtu on h2");
    const route = { cause: "route", about: "192.0.2.3" } as const;
    assert.equal(reason(route), "route from h2 to h3 has 1500");
    assert.equal(reason({ ...route, cause: "path" }), "path from h2 to h3 passes 1500");
    assert.match(reason({}, 1300), /given with the network/);
    assert.match(reason({}, 8950), /being lowered/);
  });

  it("names blocked and narrow tunnels with the cure", () => {
    const finding = { vtep: "192.0.2.2", passesBytes: 1354 };
    const found = (["blocked", "narrow"] as const).map((kind) => ({ ...finding, kind }));
    const [blocked, narrow] = tunnelProblems(MEMBERS, found, 4789);
    assert.deepEqual([blocked?.code, narrow?.code], ["TUNNEL_BLOCKED", "PATH_NARROW"]);
    assert.match(blocked?.next ?? "", /^let UDP 4789 pass both ways/);
    assert.match(narrow?.text ?? "", /h2 \(192\.0\.2\.2\) .* up to 1354 bytes/);
    const gone = MEMBERS.map((one) => ({ ...one, state: "dead" as const }));
    assert.deepEqual(tunnelProblems(gone, found, 4789), [], "of a dead peer nothing is known");
    assert.deepEqual(offloadProblems("on", "eth0"), []);
    assert.match(offloadProblems("off", "eth0")[0]?.next ?? "", /ethtool -K eth0/);
    assert.match(offloadProblems("helpless", "")[0]?.text ?? "", /or into the other/);
  });

  it("names another program at the VXLAN port", () => {
    const seen = (lastError: string) =>
      problemsOf({ ...WELL, kernel: { ...WELL.kernel, inSync: false, drift: 1, lastError } })[0];
    const port = seen("network tsweave: port-set: RTNETLINK answers: Address already in use");
    assert.equal(port?.code, "PORT_IN_USE");
    assert.match(port?.next ?? "", /^ss -ulnp sport = :4789/);
    assert.equal(seen("network tsweave: port-set: no such device")?.code, "KERNEL_DRIFT");
  });
});

const WELL_TUNNEL: ProbeResult = {
  ...{ small: 3, tries: 3, isFull: true, largestBytes: null, isChecked: true },
};

/** Tunnels whose probes show what the test says. */
async function opened(store = new MemoryStore(), members = MEMBERS) {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const seen = { result: WELL_TUNNEL, cures: true, isOff: false };
  const ports: TunnelPorts = {
    ...{ clock, log: new QuietLog(), store, members: () => members },
    hasTunnel: () => true,
    fullBytes: () => 1450,
    probe: {
      probe: async (errands) => {
        calls.push(`probe ${errands.map(({ vtep }) => vtep)}`);
        const { result, cures, isOff } = seen;
        const shown = isOff && cures ? { ...result, isChecked: true } : result;
        return new Map(errands.map(({ vtep }) => [vtep, shown]));
      },
      offload: async (isOn) => {
        seen.isOff = !isOn;
        return true;
      },
    },
    networksOffload: async (isOn) => void calls.push(`networks ${isOn ? "on" : "off"}`),
    changed: () => void calls.push("changed"),
  };
  const tunnels = new Tunnels(ports, 4);
  await tunnels.open();
  tunnels.start();
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      await clock.advance(1000);
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    }
  };
  return { tunnels, calls, seen, pass, store };
}

describe("tunnels", () => {
  it("are probed when peers are settled, and a proof is kept over a restart", async () => {
    const { tunnels, calls, seen, pass, store } = await opened();
    seen.result = { ...WELL_TUNNEL, isFull: false, largestBytes: 1354 };
    await pass(6000);
    assert.deepEqual(calls, ["probe 192.0.2.2,192.0.2.3"]);
    await pass(20_000);
    assert.ok(calls.includes("changed"), calls.join());
    assert.deepEqual([...tunnels.proved().values()], [1404, 1404]);
    await tunnels.stop();
    const later = await opened(store);
    assert.deepEqual([...later.tunnels.proved().values()], [1404, 1404]);
    await later.tunnels.stop();
  });

  it("leave a peer alone that has just come, is gone, or is not reached directly", async () => {
    const fresh = { ...member(B, "192.0.2.2"), sinceMs: 5000 };
    const behind = { ...member(C, "192.0.2.3"), path: { isDirect: false, sinceMs: 0 } };
    const { tunnels, calls, pass } = await opened(undefined, [MEMBERS[0] as Member, fresh, behind]);
    await pass(6000);
    assert.deepEqual(calls, []);
    await tunnels.stop();
  });

  it("do without the card's checksums where these are spoiled and that helps", async () => {
    const { tunnels, calls, seen, pass } = await opened();
    seen.result = { ...WELL_TUNNEL, isChecked: false };
    await pass(15_000);
    assert.equal(tunnels.offload, "off");
    assert.ok(calls.includes("networks off"));
    await tunnels.stop();
    const other = await opened();
    other.seen.result = { ...WELL_TUNNEL, isChecked: false };
    other.seen.cures = false;
    await other.pass(15_000);
    assert.deepEqual([other.tunnels.offload, other.seen.isOff], ["helpless", false]);
    assert.ok(!other.calls.includes("networks off"));
    await other.tunnels.stop();
  });

  it("give the card its work back when it is well after a restart", async () => {
    const before = await opened();
    before.seen.result = { ...WELL_TUNNEL, isChecked: false };
    await before.pass(15_000);
    await before.tunnels.stop();
    const { tunnels, calls, pass } = await opened(before.store);
    await pass(6000);
    assert.equal(tunnels.offload, "off");
    await pass(150_000);
    assert.equal(tunnels.offload, "on");
    assert.ok(calls.includes("networks on"), calls.join());
    await tunnels.stop();
  });
});

describe("the MTU of the mesh", () => {
  it("is the least of the hosts that are here or whose containers are", async () => {
    const rows = new Map([
      [B, offer(B, { overlayMtuBytes: 1400 }).row],
      [C, offer(C, { overlayMtuBytes: 1300, cause: "path" }).row],
    ]);
    const list = () => [...rows].map(([origin, row]) => ({ origin, key: HOST_KEY, row }));
    const state: { members: Member[]; used: boolean } = { members: [...MEMBERS], used: false };
    const clock = new VirtualClock();
    const view: UnderlayView = { device: "eth0", mtuBytes: 1500, routes: [] };
    const put: unknown[] = [];
    const underlay = new Underlay(
      {
        tables: { put: (_table, _key, value) => void put.push(value) },
        rows: {
          hosts: { rows: list, get: () => undefined, onChange: () => undefined },
          vteps: () => new Map(state.used ? [[C, "192.0.2.3"]] : []),
          presence: { entriesCount: () => true },
        } as never,
        ...{ members: () => state.members, clock, log: new QuietLog() },
        view: async () => view,
        proved: () => new Map(),
      },
      { self: A, vxlanPort: 4789, underlay: 4, mtuBytes: undefined, docker: true },
    );
    await underlay.open();
    assert.equal(put.length, 1);
    assert.deepEqual([underlay.least().origin, underlay.fullBytes()], [C, 1400]);
    state.members = [...MEMBERS.slice(0, 2), member(C, "192.0.2.3", "dead")];
    assert.equal(underlay.least().origin, C, "just after a start nobody is known to be gone");
    await clock.advance(30_000);
    assert.equal(underlay.least().origin, B);
    state.used = true;
    assert.equal(underlay.least().origin, C, "its containers may be running");
  });
});
