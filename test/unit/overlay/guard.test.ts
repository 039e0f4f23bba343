/** The guard's rules: what they hold, and when a table counts as whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { guardText, isGuarded } from "../../../overlay/guard.ts";

const PORTS = { vxlan: 4789, gossip: 6783 };
/** As nft lists what it was given, without the lines that remove a former table. */
const LISTING = guardText(PORTS).split("\n").slice(2).join("\n");

test("VXLAN and gossip of containers are dropped, and nothing else", () => {
  const rules = [...LISTING.matchAll(/^\s+iifname (\{.*\}) (.*)$/gm)].map(([, , rule]) => rule);
  assert.deepEqual(rules, ["udp dport 4789 drop", "udp dport 6783 drop", "tcp dport 6783 drop"]);
  assert.match(LISTING, /iifname \{ "docker_gwbridge", "tsweave_gw" \}/);
  assert.match(LISTING, /policy accept;/);
});

test("a table that lacks a rule, or has another port's, is made anew", () => {
  assert.equal(isGuarded(LISTING, PORTS), true);
  assert.equal(isGuarded(LISTING, { ...PORTS, gossip: 7000 }), false);
  for (const rule of ["udp dport 4789", "udp dport 6783", "tcp dport 6783", "hook prerouting"]) {
    assert.equal(isGuarded(LISTING.replace(rule, ""), PORTS), false, rule);
  }
  assert.equal(isGuarded("", PORTS), false);
  const swapped = LISTING.replace(/"(\w+)", "(\w+)"/g, '"$2", "$1"');
  assert.notEqual(swapped, LISTING);
  assert.equal(isGuarded(swapped, PORTS), true, "nft lists a set's members in any order");
  const other = LISTING.replaceAll("tsweave_gw", "another");
  assert.equal(isGuarded(other, PORTS), false, "another bridge");
});
