/** How containers' packets go to each peer, in status and in doctor's words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directFindings } from "../../../cli/doctor/direct.ts";
import { renderRead } from "../../../cli/render/tables.ts";
import { peerPaths } from "../../../cli/wiring/peer-paths.ts";
import type { Member } from "../../../mesh/index.ts";
import type { PathOf } from "../../../overlay/index.ts";
import { FakeBackend } from "./fixture-facts.ts";

const clock = { nowMs: () => 10_000 };
const member = (id: string, self = false) => ({ id, self }) as Member;

function kindsOf(paths: readonly PathOf[]) {
  const of = peerPaths({ paths: () => [...paths] }, clock);
  return of(member("p2"))?.kind;
}

const UP: PathOf = { network: "a", peer: "p2", isDirect: true, sinceMs: 4000, why: null };
const DOWN: PathOf = { ...UP, network: "b", isDirect: false, why: "probes are not answered" };
const IDLE: PathOf = { ...DOWN, network: "c", sinceMs: null, why: "no containers at both ends" };

test("the path of a peer is that of the networks which are in use", () => {
  assert.equal(kindsOf([]), "vxlan");
  assert.equal(kindsOf([UP, IDLE]), "direct");
  assert.equal(kindsOf([UP, DOWN]), "mixed");
  assert.equal(kindsOf([DOWN, IDLE]), "vxlan");
  assert.equal(kindsOf([{ ...UP, peer: "p3" }]), "vxlan");
  assert.equal(peerPaths(undefined, clock)(member("p1", true)), null);
  const [first] = peerPaths({ paths: () => [UP] }, clock)(member("p2"))?.networks ?? [];
  assert.deepEqual(first, { network: "a", direct: true, sinceSeconds: 6, why: null });
});

test("status and doctor tell the reason, and doctor finds no fault in a tunnel", () => {
  const peers = new FakeBackend().peers();
  const text = renderRead("peers", { peers });
  assert.match(text, /DATA PATH/);
  assert.match(text, /mixed: probes are not answered/);
  const found = directFindings(peers);
  assert.deepEqual(
    found.map(({ state }) => state),
    ["ok"],
  );
  assert.match(found[0]?.text ?? "", /^to host2 without a tunnel on tsweave; .*blue.*--direct\?/);
  assert.deepEqual(directFindings([]), []);
});
