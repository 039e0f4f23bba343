/** Peers replaced by another at their address, and when what they left in the kernel may go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { replacedPeers } from "../../../cli/wiring/heirs.ts";
import { keepUntilProved } from "../../../cli/wiring/keep.ts";
import { type Member, type MemberState, TIMES } from "../../../mesh/index.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

function member(id: string, host: string, state: MemberState, sinceMs = 0): Member {
  const advertise = { host, port: 6783 };
  return { id, name: "h1", incarnation: 1, advertise, state, sinceMs, rttMs: null, self: false };
}

const ALL_COUNT = { entriesCount: () => true };

test("a peer is replaced by one that is here at its address, and by no other", () => {
  const lost = member("a", "192.0.2.1", "dead");
  const heir = member("b", "192.0.2.1", "alive");
  const others = [member("c", "192.0.2.2", "dead"), member("d", "192.0.2.3", "alive")];
  assert.deepEqual([...replacedPeers([lost, heir, ...others])], [[lost, heir]]);
  assert.deepEqual([...replacedPeers([{ ...lost, state: "suspect" }, heir])].length, 1);
  assert.equal(replacedPeers([lost, { ...heir, state: "suspect" }]).size, 0);
  assert.equal(replacedPeers([{ ...lost, state: "alive" }, heir]).size, 0);
});

test("entries of the heir's lost containers may go with the former peer's rows", async () => {
  const clock = new VirtualClock();
  const former = member("a", "192.0.2.1", "dead", clock.nowMs());
  let forgotten: string | undefined;
  const members = [former, member("b", "192.0.2.1", "alive", clock.nowMs())];
  const keep = keepUntilProved(
    {
      clock,
      presence: ALL_COUNT,
      members: () => members,
      isForgotten: (peer) => peer === forgotten,
      held: () => ({ incarnation: 1, seq: 4 }),
      ownEndpointsKnown: () => true,
      hasEndpoint: () => true,
    },
    { vtep: "192.0.2.9" },
  );
  const entry = { ip: "10.32.0.5", mac: "02:42:0a:20:00:05", vtep: "192.0.2.1" };
  assert.equal(keep.mayRemove(entry), false);
  keep.look(() => undefined);
  await clock.run(TIMES.deadGraceMs + 1000);
  assert.equal(keep.mayRemove(entry), false, "they are the former peer's word");
  forgotten = "a";
  assert.equal(keep.mayRemove(entry), true);
  forgotten = "b";
  assert.equal(keep.mayRemove(entry), false);
});

test("a row that is missing counts once no more of the peer's rows come", async () => {
  const clock = new VirtualClock();
  const peer = { ...member("a", "192.0.2.1", "alive") };
  let held: { incarnation: number; seq: number } | undefined;
  const keep = keepUntilProved(
    {
      clock,
      presence: ALL_COUNT,
      members: () => [peer],
      held: () => held,
      isForgotten: () => false,
      ownEndpointsKnown: () => true,
      hasEndpoint: () => true,
    },
    { vtep: "192.0.2.9" },
  );
  const entry = { ip: "10.32.0.5", mac: "02:42:0a:20:00:05", vtep: "192.0.2.1" };
  let settled = 0;
  const look = () => keep.look(() => (settled += 1));
  look();
  await clock.run(9000);
  assert.deepEqual([keep.mayRemove(entry), settled], [false, 0], "nothing has come");
  held = { incarnation: 1, seq: 100 };
  look();
  look();
  await clock.run(1000);
  assert.deepEqual([keep.mayRemove(entry), settled], [false, 0]);
  held = { incarnation: 1, seq: 200 };
  look();
  await clock.run(1500);
  look();
  assert.deepEqual([keep.mayRemove(entry), settled], [false, 0], "more came meanwhile");
  await clock.run(2500);
  assert.deepEqual([keep.mayRemove(entry), settled], [true, 1]);
  held = { incarnation: 1, seq: 300 };
  assert.equal(keep.mayRemove(entry), true, "what it says later counts at once");
  held = { incarnation: 0, seq: 300 };
  assert.equal(keep.mayRemove(entry), false, "of another life nothing is known");
});

test("a neighbour that leads to no VTEP goes at once, whatever is known of peers", () => {
  const keep = keepUntilProved(
    {
      clock: new VirtualClock(),
      presence: ALL_COUNT,
      members: () => [],
      held: () => undefined,
      isForgotten: () => false,
      ownEndpointsKnown: () => true,
      hasEndpoint: () => true,
    },
    { vtep: "192.0.2.9" },
  );
  const mac = "02:42:0a:20:00:05";
  assert.equal(keep.mayRemove({ ip: "10.32.0.5", mac }), true, "it carries no packet");
  assert.equal(keep.mayRemove({ ip: "10.32.0.5", mac, vtep: "192.0.2.1" }), false);
});
