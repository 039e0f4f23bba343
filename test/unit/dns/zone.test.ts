/** What an asker sees: its own networks, every host's addresses, three spellings of a name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpv4 } from "../../../dns/ipv4.ts";
import { Zone } from "../../../dns/zone.ts";

const record = (network: string, ip: string, ...names: string[]) => ({
  network,
  names,
  ip,
  peer: "a".repeat(32),
  endpointId: `${network}${ip}`,
});

const zone = new Zone(
  [
    record("tsweave", "10.32.0.2", "web", "WWW", "db.corp.example"),
    record("tsweave", "10.40.0.2", "web"),
    record("tsweave", "10.40.0.2", "web"),
    record("Back", "10.99.0.2", "db", "web"),
    record("tsweave", "10.32.0.9", "bad name", "fine"),
    record("tsweave", "fd00::1", "six"),
    record("tsweave", "10.32.0.10"),
  ],
  [
    { network: "tsweave", cidr: "10.32.0.0/12" },
    { network: "odd", cidr: "not a subnet" },
  ],
  ".TsWeave.local.",
);
const front = new Set(["tsweave"]);
const both = new Set(["tsweave", "Back"]);

const cases: [string, ReadonlySet<string>, string[] | undefined][] = [
  ["web", front, ["10.32.0.2", "10.40.0.2"]],
  ["web.tsweave", front, ["10.32.0.2", "10.40.0.2"]],
  ["web.tsweave.local", front, ["10.32.0.2", "10.40.0.2"]],
  ["www", front, ["10.32.0.2"]],
  ["db.corp.example", front, ["10.32.0.2"]],
  ["db.corp.example.tsweave", front, ["10.32.0.2"]],
  ["web", both, ["10.32.0.2", "10.40.0.2", "10.99.0.2"]],
  ["web.back", both, ["10.99.0.2"]],
  ["db", both, ["10.99.0.2"]],
  ["db", front, undefined],
  ["db.back", front, undefined],
  ["web.back", front, undefined],
  ["web", new Set(), undefined],
  ["fine", front, ["10.32.0.9"]],
  ["bad name", front, undefined],
  ["six", front, undefined],
  ["tsweave", front, undefined],
  ["tsweave.local", front, undefined],
  ["", front, undefined],
  ["web.example", front, undefined],
];
for (const [name, networks, wanted] of cases) {
  test(`${JSON.stringify(name)} on ${[...networks]}`, () => {
    const numbers = wanted?.map((ip) => parseIpv4(ip));
    assert.deepEqual(zone.addresses(name, networks), numbers);
  });
}

test("reverse: the first good name with its network, seen networks only", () => {
  const names = (ip: string, networks: ReadonlySet<string>) =>
    zone.pointers(parseIpv4(ip) ?? -1, networks).map((labels) => labels.join("."));
  assert.deepEqual(names("10.32.0.2", front), ["web.tsweave"]);
  assert.deepEqual(names("10.32.0.9", front), ["fine.tsweave"]);
  assert.deepEqual(names("10.99.0.2", front), []);
  assert.deepEqual(names("10.99.0.2", both), ["db.Back"]);
  assert.deepEqual(names("10.32.0.10", front), [], "an endpoint without names");
});

test("covers whole subnets and nothing beside them", () => {
  assert.equal(zone.covers(parseIpv4("10.47.1.1") ?? -1), true);
  assert.equal(zone.covers(parseIpv4("10.99.0.2") ?? -1), false);
});
