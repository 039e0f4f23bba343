/** A peer that boots finds those it has met, whoever it was launched with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Contacts, LIMITS, type Member, type MemberEvent } from "../../../mesh/index.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

function world() {
  const ports = { store: new MemoryStore(), clock: new VirtualClock(), log: new QuietLog() };
  return { ...ports, open: async () => await Contacts.open(ports) };
}

const at = (number: number) => ({ host: `10.1.${number >> 8}.${number & 255}`, port: 6783 });

function event(type: MemberEvent["type"], number: number, self = false): MemberEvent {
  const id = number.toString(16).padStart(32, "0");
  const state: Member["state"] = type === "updated" ? "alive" : type;
  const advertise = at(number);
  const member = { id, name: "n", incarnation: 1, advertise, state, sinceMs: 0, rttMs: null, self };
  return { type, member };
}

test("who was met is tried by the next life, who left is not", async () => {
  const { open, clock } = world();
  const first = await open();
  for (const number of [1, 2, 3]) first.membershipChanged(event("alive", number));
  first.membershipChanged(event("alive", 9, true));
  first.membershipChanged(event("dead", 2));
  first.membershipChanged(event("left", 3));
  clock.advance(1000);
  await first.close();
  assert.deepEqual((await open()).targets(), [at(1), at(2)]);
});

test("a close saves what the timer has not", async () => {
  const { open } = world();
  const first = await open();
  first.membershipChanged(event("alive", 1));
  await first.close();
  assert.deepEqual((await open()).targets(), [at(1)]);
});

test("a changed address replaces the old one", async () => {
  const { open } = world();
  const contacts = await open();
  contacts.membershipChanged(event("alive", 1));
  const { member } = event("updated", 1);
  contacts.membershipChanged({ type: "updated", member: { ...member, advertise: at(7) } });
  assert.deepEqual(contacts.targets(), [at(7)]);
});

test("what a person names is kept until a person forgets it, whoever was met there", async () => {
  const { open } = world();
  const first = await open();
  await first.add([at(4), at(5)]);
  first.membershipChanged(event("alive", 4));
  assert.deepEqual(first.targets(), [at(4), at(5)]);
  await first.forget([at(4)]);
  assert.deepEqual((await open()).targets(), [at(5)]);
});

test("who was met while the disk was full is saved soon after there is room", async () => {
  const { open, store, clock } = world();
  const first = await open();
  store.failure = new Error("no space left");
  first.membershipChanged(event("alive", 1));
  await clock.run(60_000);
  store.failure = undefined;
  await clock.run(5000);
  assert.deepEqual((await open()).targets(), [at(1)]);
  await first.close();
});

test("only so many are kept, the latest", async () => {
  const { open } = world();
  const contacts = await open();
  const many = LIMITS.contactsMax + 10;
  for (let number = 1; number <= many; number += 1) {
    contacts.membershipChanged(event("alive", number));
  }
  await contacts.close();
  const targets = (await open()).targets();
  assert.equal(targets.length, LIMITS.contactsMax);
  assert.deepEqual(targets.at(-1), at(many));
});

test("a damaged file costs only what it held; a full disk is told", async () => {
  const { open, store } = world();
  store.snapshots.set("contacts", Uint8Array.of(0x93, 1, 2));
  const contacts = await open();
  assert.deepEqual(contacts.targets(), []);
  store.failure = new Error("no space left");
  await assert.rejects(contacts.add([at(1)]), /no space left/);
  store.failure = undefined;
  await contacts.add([at(2)]);
  assert.deepEqual((await open()).targets(), [at(1), at(2)]);
});
