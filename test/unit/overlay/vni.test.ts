/** VNIs: fixed for the default network, in the upper half for others, clashes settled alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  chooseVni,
  DEFAULT_NETWORK,
  networkLabel,
  settleVnis,
  type VniClaim,
} from "../../../overlay/vni.ts";

test("the default network has 256, others the same number everywhere, in the upper half", () => {
  assert.equal(chooseVni("tsweave", new Set([256])), 256);
  const vni = chooseVni("blue", new Set());
  assert.equal(vni, chooseVni("blue", new Set()));
  assert.ok(vni >= 0x800000 && vni <= 0xffffff);
  assert.notEqual(vni, chooseVni("red", new Set()));
});

test("a taken number is passed over, around the end too", () => {
  const first = chooseVni("blue", new Set());
  const second = chooseVni("blue", new Set([first]));
  assert.notEqual(second, first);
  assert.ok(second >= 0x800000 && second <= 0xffffff);
});

test("claims settle the same way in any order, without doubles, the default network first", () => {
  const name = fc.constantFrom(DEFAULT_NETWORK, "a", "b", "c", "zz");
  const vni = fc.constantFrom(256, 0x800001, 0x800002);
  const claims = fc.array(fc.record({ name, vni }), { maxLength: 8 });
  fc.assert(
    fc.property(
      claims.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      ([list, shuffled]) => {
        const settled = settleVnis(list);
        assert.deepEqual([...settled].sort(), [...settleVnis(shuffled)].sort());
        assert.equal(new Set(settled.values()).size, settled.size);
        assert.deepEqual(new Set(settled.keys()), new Set(list.map((claim) => claim.name)));
      },
    ),
  );
});

test("the first by name keeps a number that two claim", () => {
  const settled = settleVnis([
    { name: "b", vni: 0x800005 },
    { name: "a", vni: 0x800005 },
  ]);
  assert.equal(settled.get("a"), 0x800005);
  assert.notEqual(settled.get("b"), 0x800005);
  const stolen = settleVnis([
    { name: "aaa", vni: 256 },
    { name: DEFAULT_NETWORK, vni: 256 },
  ]);
  assert.equal(stolen.get(DEFAULT_NETWORK), 256);
});

test("hosts that see a clash one after the other come to the same numbers and stay there", () => {
  const labels = ["a 10.1.0.0/16", "b 10.2.0.0/16", "c 10.3.0.0/16"];
  const start = fc.constantFrom(0x800001, 0x800002);
  const hosts = fc.array(fc.tuple(start, start, start), { minLength: 2, maxLength: 5 });
  fc.assert(
    fc.property(hosts, fc.array(fc.nat(4), { maxLength: 30 }), (first, order) => {
      const claims: VniClaim[][] = first.map((vnis) =>
        vnis.map((vni, at) => ({ name: labels[at] ?? "", vni })),
      );
      const move = (host: number): boolean => {
        const settled = settleVnis(claims.flat());
        const before = JSON.stringify(claims[host]);
        claims[host] = (claims[host] ?? []).map(({ name }) => ({
          name,
          vni: settled.get(name) ?? 0,
        }));
        return JSON.stringify(claims[host]) !== before;
      };
      for (const host of order) move(host % claims.length);
      let rounds = 0;
      while (claims.map((_, host) => move(host)).includes(true)) rounds += 1;
      assert.ok(rounds <= 4, `${rounds} rounds`);
      assert.equal(new Set(claims.map((own) => JSON.stringify(own))).size, 1);
      assert.equal(new Set(claims[0]?.map(({ vni }) => vni)).size, labels.length);
    }),
  );
});

test("networks of one name and two subnets never share a number", () => {
  const [one, two] = [networkLabel("n", "10.1.0.0/16"), networkLabel("n", "10.2.0.0/16")];
  assert.notEqual(chooseVni(one, new Set()), chooseVni(two, new Set()));
});
