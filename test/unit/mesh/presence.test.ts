/** Names go with the verdict, kernel entries only with grace and proof. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PeerMeta, Reachability } from "../../../mesh/index.ts";
import { Presence } from "../../../mesh/presence.ts";
import { FakeMembership } from "../../lib/fake-membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const meta = (digit: string): PeerMeta => ({
  id: digit.repeat(32),
  name: digit,
  incarnation: 1,
  advertise: { host: "10.0.0.9", port: 6783 },
});

function world(answer: Reachability, other = meta("b"), silent: readonly string[] = []) {
  const clock = new VirtualClock();
  const membership = new FakeMembership(meta("a"));
  const state = { answer };
  const presence = new Presence({
    clock,
    log: new QuietLog(),
    streams: { probe: async ({ host }) => (silent.includes(host) ? "silent" : state.answer) },
    member: (id) => membership.member(id),
    origins: () => new Map([[other.id, other.advertise]]),
  });
  membership.onEvent((event) => presence.membershipChanged(event));
  presence.start();
  return { clock, membership, presence, other, state };
}

describe("Presence", () => {
  it("drops a dead peer's names at once and its entries after the grace when silent", async () => {
    const { clock, membership, presence, other } = world("silent");
    membership.set(other, "alive");
    assert.equal(presence.namesCount(other.id), true);
    membership.set(other, "dead", clock.nowMs());
    assert.equal(presence.namesCount(other.id), false);
    await clock.run(55_000);
    assert.equal(presence.entriesCount(other.id), true);
    await clock.run(15_000);
    assert.equal(presence.entriesCount(other.id), false);
    membership.set(other, "alive", clock.nowMs());
    assert.equal(presence.entriesCount(other.id), true);
  });

  it("keeps the entries of a host that is up with its daemon down", async () => {
    const { clock, membership, presence, other, state } = world("refused");
    membership.set(other, "left", clock.nowMs());
    await clock.run(600_000);
    assert.equal(presence.entriesCount(other.id), true);
    state.answer = "silent";
    await clock.run(10_000);
    assert.equal(presence.entriesCount(other.id), false);
  });

  it("keeps the entries of a host that answers at any of its addresses", async () => {
    const several = { ...meta("b"), hosts: ["10.0.0.9", "10.1.0.9"] };
    const { clock, membership, presence, state } = world("refused", several, ["10.0.0.9"]);
    membership.set(several, "dead", clock.nowMs());
    await clock.run(600_000);
    assert.equal(presence.entriesCount(several.id), true);
    state.answer = "silent";
    await clock.run(10_000);
    assert.equal(presence.entriesCount(several.id), false);
  });

  it("tells of a return and of another address, not of a doubt", async () => {
    const { clock, membership, presence, other } = world("silent");
    let told = 0;
    presence.onChange = () => {
      told += 1;
    };
    const after = (member: PeerMeta, state: "alive" | "suspect" | "dead"): number => {
      told = 0;
      membership.set(member, state, clock.nowMs());
      return told;
    };
    assert.equal(after(other, "alive"), 1);
    assert.equal(after(other, "suspect"), 0);
    assert.equal(after(other, "alive"), 0);
    const moved = { ...other, advertise: { ...other.advertise, host: "10.0.0.10" } };
    assert.equal(after(moved, "alive"), 1);
    assert.equal(after(moved, "dead"), 0);
    await clock.run(70_000);
    assert.equal(told, 1, "silent after its grace");
    assert.equal(after(moved, "alive"), 1);
    assert.equal(after({ ...moved, incarnation: 2 }, "alive"), 1);
  });

  it("keeps a peer that was not yet seen in this life, within the same grace", async () => {
    const { clock, presence, other } = world("silent");
    assert.equal(presence.entriesCount(other.id), true);
    assert.equal(presence.namesCount(other.id), false);
    await clock.run(70_000);
    assert.equal(presence.entriesCount(other.id), false);
  });
});
