/** Desired state: local wins, one winner per address, nothing malformed or our own gets through. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TsweaveError } from "../../../mesh/index.ts";
import { cidrsOverlap, isIp, isMac, macOf, readCidr } from "../../../overlay/address.ts";
import { desired, desiredNetwork } from "../../../overlay/desired.ts";
import type { RemoteEndpoint } from "../../../overlay/model.ts";
import { local, NET, OPTIONS, remote, SELF } from "./samples.ts";

const remoteOf = (remotes: readonly RemoteEndpoint[], locals = [local("1", "10.32.0.5")]) =>
  desiredNetwork(NET, locals, remotes, OPTIONS).remote;

test("a network has its gateway on br0 with the MAC of the gateway's address", () => {
  const wanted = desiredNetwork(NET, [local("1", "10.32.0.5")], [], OPTIONS);
  assert.equal(wanted.netns, "tsweave-0123456789");
  assert.equal(wanted.gatewayCidr, "10.32.0.1/12");
  assert.equal(wanted.bridgeMac, "02:42:0a:20:00:01");
  assert.deepEqual([...wanted.ports.keys()], ["veth1111111"]);
});

test("endpoints of other networks are not mixed in", () => {
  const other = { ...NET, name: "other", id: "f".repeat(64), vni: 0x800001 };
  const [first, second] = desired([NET, other], [], [remote("10.32.0.9")], OPTIONS);
  assert.equal(first?.remote.neighbours.size, 1);
  assert.equal(second?.remote.neighbours.size, 0);
});

test("local wins over remote, by IP and by MAC, and so does the gateway", () => {
  const entries = remoteOf([
    remote("10.32.0.5", "192.0.2.2", { mac: "02:42:00:00:00:99" }),
    remote("10.32.0.6", "192.0.2.2", { mac: macOf("10.32.0.5") }),
    remote("10.32.0.1", "192.0.2.2", { mac: "02:42:00:00:00:98" }),
    remote("10.32.0.7"),
  ]);
  assert.deepEqual([...entries.neighbours], [["10.32.0.7", macOf("10.32.0.7")]]);
  assert.deepEqual([...entries.forwards], [[macOf("10.32.0.7"), "192.0.2.2"]]);
});

test("rows that name this host, or are malformed, or lie outside, are never programmed", () => {
  const bad = [
    remote("10.32.0.6", SELF.vtep),
    remote("10.32.0.7", "192.0.2.2", { peer: SELF.peer }),
    remote("10.32.0.8", "192.0.2.2", { mac: "02:42:0A:20:00:08" }),
    remote("10.32.0.8", "192.0.2.2", { mac: "33:33:00:00:00:01" }),
    remote("10.32.0.8", "192.0.2.2; reboot"),
    remote("10.32.0.8", "224.0.0.1"),
    remote("192.168.1.1"),
    remote("10.32.0.010", "192.0.2.2", { mac: "02:42:00:00:00:01" }),
    remote("10.33", "192.0.2.2", { mac: "02:42:00:00:00:01" }),
  ];
  assert.deepEqual([...remoteOf(bad).neighbours], []);
});

test("one winner per IP and per MAC, whatever the order of the rows", () => {
  const ip = fc.constantFrom("10.32.0.6", "10.32.0.7", "10.32.0.8");
  const row = fc.record({
    ip,
    mac: ip.map(macOf),
    vtep: fc.constantFrom("192.0.2.2", "192.0.2.3"),
    peer: fc.constantFrom("b", "c").map((digit) => digit.repeat(32)),
    id: fc.constantFrom("e1", "e2", "e3"),
  });
  const rows = fc.uniqueArray(row, { maxLength: 8, selector: (value) => JSON.stringify(value) });
  fc.assert(
    fc.property(
      rows.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      ([list, shuffled]) => {
        const unique = list.every((a) =>
          list.every((b) => a === b || a.peer !== b.peer || a.id !== b.id),
        );
        fc.pre(unique);
        const make = (some: typeof list) =>
          remoteOf(some.map((fields) => ({ ...remote(fields.ip), ...fields })));
        const a = make(list);
        const b = make(shuffled);
        assert.deepEqual(new Map([...a.neighbours].sort()), new Map([...b.neighbours].sort()));
        assert.deepEqual(new Map([...a.forwards].sort()), new Map([...b.forwards].sort()));
        for (const mac of a.neighbours.values()) assert.ok(a.forwards.has(mac));
      },
    ),
  );
});

test("a network with impossible numbers is refused", () => {
  for (const bad of [{ vni: 0 }, { vni: 2 ** 24 }, { subnet: "10.32.0.0" }, { gateway: "x" }]) {
    assert.throws(
      () => desiredNetwork({ ...NET, ...bad }, [], [], OPTIONS),
      (error) => error instanceof TsweaveError && error.code === "CONFIG",
    );
  }
});

test("addresses are read strictly", () => {
  for (const text of ["010.0.0.1", "10.1", "0x0a000001", "10.0.0.1 ", "fe80::1%eth0", ""]) {
    assert.equal(isIp(text), false, text);
  }
  assert.ok(isIp("10.0.0.1") && isIp("fd00::1"));
  assert.equal(isMac("01:42:0a:00:00:01"), false);
  assert.equal(readCidr("10.0.0.0/33"), undefined);
  assert.equal(readCidr("10.0.0.0/8/8"), undefined);
  const overlap = (a: string, b: string) => {
    const [left, right] = [readCidr(a), readCidr(b)];
    return left !== undefined && right !== undefined && cidrsOverlap(left, right);
  };
  assert.ok(overlap("10.32.0.0/12", "10.47.255.0/24"));
  assert.ok(overlap("10.32.1.0/24", "10.0.0.0/8"));
  assert.equal(overlap("10.32.0.0/12", "10.48.0.0/24"), false);
  assert.equal(overlap("10.32.0.0/12", "fd00::/8"), false);
  assert.match(macOf("fd00::1"), /^02:42(:[0-9a-f]{2}){4}$/);
});
