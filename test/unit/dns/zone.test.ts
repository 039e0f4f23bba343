/** What an asker sees: its own networks, every host's addresses, three spellings of a name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIpv4, parseIpv4 } from "../../../dns/ipv4.ts";
import { EVERY_NETWORK } from "../../../dns/record.ts";
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
    const found = zone.find(name, networks);
    const addresses = found && new Set(found.instances.map(({ address }) => formatIpv4(address)));
    assert.deepEqual(addresses && [...addresses], wanted);
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

test("the apex is below the labels of the name itself", () => {
  const depth = (name: string) => zone.find(name, both)?.depth;
  assert.equal(depth("web"), 0);
  assert.equal(depth("web.back"), 1);
  assert.equal(depth("db.corp.example.tsweave"), 3);
  assert.equal(depth("db.tsweave.local"), 1);
});

test("an outside service is on every network, and joins containers of its name", () => {
  const outside = new Zone(
    [
      record("tsweave", "10.32.0.2", "web"),
      record(EVERY_NETWORK, "192.0.2.7", "web"),
      record(EVERY_NETWORK, "192.0.2.8", "ldap.corp.example"),
      record("Back", "192.0.2.9", "only-back"),
    ],
    [{ network: "quiet", cidr: "10.80.0.0/16" }],
    "tsweave.local",
  );
  const addresses = (name: string, networks: ReadonlySet<string>) =>
    outside
      .find(name, networks)
      ?.instances.map(({ address }) => formatIpv4(address))
      .sort();
  const names = (ip: string, networks: ReadonlySet<string>) =>
    outside.pointers(parseIpv4(ip) ?? -1, networks).map((labels) => labels.join("."));
  for (const name of ["web", "web.tsweave", "web.tsweave.local"]) {
    assert.deepEqual(addresses(name, front), ["10.32.0.2", "192.0.2.7"], name);
  }
  assert.deepEqual(addresses("web", new Set(["quiet"])), ["192.0.2.7"]);
  assert.deepEqual(addresses("web.quiet", new Set(["quiet"])), ["192.0.2.7"]);
  assert.equal(addresses("web.quiet", front), undefined, "not on that network");
  assert.deepEqual(addresses("ldap.corp.example", new Set()), ["192.0.2.8"]);
  assert.equal(addresses("only-back", front), undefined);
  assert.deepEqual(names("192.0.2.7", front), ["web.tsweave.local"]);
  assert.deepEqual(names("192.0.2.8", front), ["ldap.corp.example"]);
  assert.deepEqual(names("192.0.2.9", both), ["only-back.Back"]);
  assert.deepEqual(names("192.0.2.9", front), []);
  assert.deepEqual([...outside.networks].sort(), ["Back", "quiet", "tsweave"]);
});

test("doubtful instances answer only for want of others, of what the asker sees", () => {
  const doubtful = (network: string, ip: string) => ({
    ...record(network, ip, "web"),
    isDoubtful: true,
  });
  const mixed = new Zone(
    [doubtful("tsweave", "10.32.0.2"), record("Back", "10.99.0.2", "web")],
    [],
    "tsweave.local",
  );
  const addresses = (networks: ReadonlySet<string>) =>
    mixed.find("web", networks)?.instances.map(({ address }) => formatIpv4(address));
  assert.deepEqual(addresses(both), ["10.99.0.2"]);
  assert.deepEqual(addresses(front), ["10.32.0.2"]);
  assert.equal(mixed.pointers(parseIpv4("10.32.0.2") ?? -1, front).length, 1, "PTR all the same");
});
