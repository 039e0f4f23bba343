/** Range sets and prefix arithmetic against naive models. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress, readAddress } from "../../../ipalloc/address.ts";
import {
  addressWithin,
  containsCidr,
  overlaps,
  parseCidr,
  split,
  usableOf,
} from "../../../ipalloc/cidr.ts";
import { RangeSet } from "../../../ipalloc/range-set.ts";

test("a range set agrees with a set of numbers, stays sorted and coalesced", () => {
  const change = fc.tuple(fc.boolean(), fc.nat(40), fc.nat(12));
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      (changes, chunk) => {
        const ranges = new RangeSet([], chunk);
        const model = new Set<number>();
        for (const [add, start, length] of changes) {
          if (add) ranges.add(BigInt(start), BigInt(start + length));
          else ranges.remove(BigInt(start), BigInt(start + length));
          for (let at = start; at < start + length; at++) add ? model.add(at) : model.delete(at);
        }
        assert.equal(ranges.size, BigInt(model.size));
        for (let at = 0; at < 60; at++) {
          assert.equal(ranges.has(BigInt(at)), model.has(at), `member ${at}`);
          const first = [...model].filter((value) => value >= at).sort((a, b) => a - b)[0];
          const expected = first === undefined ? undefined : BigInt(first);
          assert.equal(ranges.firstFrom(BigInt(at)), expected, `first from ${at}`);
        }
        let end = -1n;
        for (const range of ranges.ranges()) {
          assert.ok(range.start > end && range.end > range.start, "sorted, apart, not empty");
          end = range.end;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("addresses have one spelling", () => {
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
  fc.assert(
    fc.property(octets, (parts) => {
      const text = parts.join(".");
      const { value, bits } = parseAddress(text);
      assert.equal(formatAddress(value, bits), text);
    }),
  );
  for (const wrong of ["010.0.0.1", "10.1", "0x0a000001", "1.2.3", "1.2.3.256", "", " 1.2.3.4"]) {
    assert.equal(readAddress(wrong), undefined, wrong);
    assert.throws(() => parseAddress(wrong), { code: "BAD_REQUEST" });
  }
  for (const wrong of ["fe80::1%eth0", "::ffff:1.2.3.4", ":::"]) {
    assert.equal(readAddress(wrong), undefined, wrong);
  }
  const six = parseAddress("FD00:0:0::01");
  assert.equal(formatAddress(six.value, six.bits), "fd00::1");
});

test("a subnet with host bits is refused with the subnet that was meant", () => {
  assert.throws(() => parseCidr("10.32.0.5/12"), {
    code: "CONFIG",
    hint: "the subnet is 10.32.0.0/12",
  });
  for (const wrong of [
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/",
    "x/8",
    "1.2.3.4/5/6",
  ]) {
    assert.throws(() => parseCidr(wrong), { code: "CONFIG" }, wrong);
  }
  assert.equal(parseCidr("10.32.0.0/12").end - parseCidr("10.32.0.0/12").start, 1n << 20n);
  assert.equal(parseCidr("0.0.0.0/0").end, 1n << 32n);
});

test("containment, overlap and halves follow from the ranges", () => {
  const subnet = fc.tuple(fc.nat(0xffff), fc.integer({ min: 16, max: 30 })).map(([low, prefix]) => {
    const value = (0x0a000000n + BigInt(low)) >> BigInt(32 - prefix);
    return parseCidr(`${formatAddress(value << BigInt(32 - prefix), 32)}/${prefix}`);
  });
  fc.assert(
    fc.property(subnet, subnet, (a, b) => {
      assert.equal(overlaps(a, b), !(a.end <= b.start || b.end <= a.start));
      assert.equal(containsCidr(a, b), a.start <= b.start && b.end <= a.end);
      const halves = split(a);
      assert.ok(halves !== undefined);
      assert.deepEqual([halves[0].start, halves[1].end], [a.start, a.end]);
      assert.equal(halves[0].end, halves[1].start);
    }),
  );
  assert.equal(split(parseCidr("10.0.0.1/32")), undefined);
  const pool = parseCidr("10.0.0.0/24");
  assert.equal(formatAddress(usableOf(pool).first, 32), "10.0.0.1");
  assert.equal(formatAddress(usableOf(pool).last, 32), "10.0.0.254");
  assert.throws(() => addressWithin(pool, "10.0.1.0"), { code: "BAD_REQUEST" });
  assert.throws(() => addressWithin(pool, "::1"), { code: "BAD_REQUEST" });
});
