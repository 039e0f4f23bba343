/** IPv4 text is taken literally or not at all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { contains, parseIpv4, parseSubnet, reverseAddress } from "../../../dns/ipv4.ts";

test("four plain decimals and nothing else", () => {
  assert.equal(parseIpv4("10.32.0.2"), 0x0a200002);
  assert.equal(parseIpv4("255.255.255.255"), 0xffffffff);
  const bad = [
    "",
    "10.1",
    "010.0.0.1",
    "0x0a000001",
    "1.2.3.256",
    "1.2.3.4.5",
    "1.2.3.",
    "::1",
    "1.2.3.4 ",
  ];
  for (const text of bad) assert.equal(parseIpv4(text), undefined, text);
});

test("subnets contain their addresses, high bits included", () => {
  const cases: [string, string, boolean][] = [
    ["10.32.0.0/12", "10.47.255.255", true],
    ["10.32.0.0/12", "10.48.0.0", false],
    ["10.33.7.7/12", "10.32.0.1", true],
    ["192.168.0.0/16", "192.168.3.4", true],
    ["0.0.0.0/0", "255.1.2.3", true],
    ["255.0.0.1/32", "255.0.0.1", true],
    ["255.0.0.1/32", "255.0.0.2", false],
  ];
  for (const [cidr, address, inside] of cases) {
    const subnet = parseSubnet(cidr);
    assert.ok(subnet, cidr);
    assert.equal(contains(subnet, parseIpv4(address) ?? -1), inside, `${address} in ${cidr}`);
  }
  for (const bad of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "fd00::/8"]) {
    assert.equal(parseSubnet(bad), undefined, bad);
  }
});

test("reverse names are read back to front, whole addresses only", () => {
  assert.equal(reverseAddress("2.0.32.10.in-addr.arpa"), 0x0a200002);
  for (const key of [
    "0.32.10.in-addr.arpa",
    "in-addr.arpa",
    "2.0.32.10",
    "02.0.32.10.in-addr.arpa",
  ]) {
    assert.equal(reverseAddress(key), undefined, key);
  }
});
