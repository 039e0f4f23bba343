/** Which address is used, when another one is, and when a path counts as gone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Paths } from "../../../mesh/membership/paths.ts";
import { type PeerRecord, readRecord, wireRecord } from "../../../mesh/membership/record.ts";
import { SWIM_TIMING } from "../../../mesh/membership/timing.ts";

const ID = "a".repeat(32);
const [A, B, C] = ["10.0.0.2", "10.1.0.2", "10.2.0.2"] as const;
const at = (host: string) => ({ host, port: 6783 });
const { healMs, healMaxMs } = SWIM_TIMING;

function record(hosts: readonly string[], more: Partial<PeerRecord> = {}, incarnation = 1) {
  const [first = ""] = hosts;
  const meta = { id: ID, name: "p", incarnation, advertise: at(first), hosts };
  return { meta, era: 0, boot: 1, state: "alive", refutation: 0, ...more } as const;
}

class World {
  nowMs = 1000;
  readonly changes: string[] = [];
  readonly paths: Paths;
  known: PeerRecord;

  constructor(hosts: readonly string[], own: readonly string[] = []) {
    this.paths = new Paths(() => this.nowMs, SWIM_TIMING, own);
    this.known = record(hosts);
    this.paths.onChange = () => this.changes.push(this.inUse());
    this.inUse();
  }

  inUse(): string {
    return this.paths.place(this.known).meta.advertise.host;
  }

  /** Lets time pass as the watch does, and returns the addresses pinged. */
  pass(ms: number): string[] {
    const pinged: string[] = [];
    const stepMs = healMs / 4;
    for (let spentMs = 0; spentMs < ms; spentMs += stepMs) {
      this.nowMs += stepMs;
      for (const { addresses } of this.paths.due()) {
        pinged.push(...addresses.map(({ host }) => host));
      }
    }
    return pinged;
  }
}

test("the first address is used until another one proves better", () => {
  const world = new World([A, B, C]);
  assert.equal(world.inUse(), A);
  assert.deepEqual(
    world.paths.others(ID).map(({ host }) => host),
    [B, C],
  );
  assert.ok(world.paths.answered(ID, at(A)));
  assert.ok(!world.paths.answered(ID, at(B)), "an answer from elsewhere is no reason by itself");
  world.pass(10 * healMaxMs);
  assert.deepEqual([world.inUse(), world.changes], [A, []]);
  assert.equal(world.paths.of(ID)?.isDirect, true);
});

test("one lost ping moves nothing, a silent address is left soon", () => {
  const world = new World([A, B]);
  world.paths.answered(ID, at(A));
  world.paths.doubt(ID);
  world.paths.answered(ID, at(B));
  world.paths.answered(ID, at(A));
  world.pass(healMs);
  assert.equal(world.inUse(), A);
  world.paths.doubt(ID);
  world.paths.answered(ID, at(B));
  world.pass(healMs / 2);
  assert.deepEqual([world.inUse(), world.changes], [B, [B]]);
});

test("the preferred address is tried at growing distance and returned to", () => {
  const world = new World([A, B]);
  world.paths.answered(ID, at(A));
  world.paths.doubt(ID);
  world.paths.answered(ID, at(B));
  world.pass(healMs);
  const first = world.pass(10 * healMaxMs);
  const later = world.pass(10 * healMaxMs);
  assert.ok(first.length >= 2 && later.length < first.length, `${first.length} ${later.length}`);
  assert.ok(first.every((host) => host === A));
  world.paths.answered(ID, at(A));
  assert.equal(world.inUse(), A);
  assert.deepEqual([world.pass(healMs), world.paths.pace], [[], undefined], "nothing is open");
  world.paths.doubt(ID);
  world.paths.answered(ID, at(B));
  world.pass(healMs);
  assert.equal(world.inUse(), B);
  assert.deepEqual(world.pass(2 * healMaxMs), [], "what fails again is trusted later");
});

test("who is met by another address than its first is used there at once", () => {
  const world = new World([A, B]);
  world.paths.heard(ID, at(C));
  assert.equal(world.inUse(), A, "an address that it did not announce");
  world.paths.heard(ID, at(B));
  assert.equal(world.inUse(), B);
  world.paths.heard(ID, at(A));
  assert.equal(world.inUse(), B, "only the first meeting decides");
});

test("a relay's word begins a doubt, and only rounds without an answer end a path", () => {
  const world = new World([A, B]);
  world.paths.answered(ID, at(A));
  world.paths.missed(ID);
  const missedMs = world.nowMs;
  const pinged = world.pass(3 * (healMs / 4));
  assert.deepEqual(new Set(pinged), new Set([A, B]));
  world.paths.answered(ID, at(A));
  world.pass(healMs);
  assert.equal(world.paths.of(ID)?.isDirect, true);
  world.paths.missed(ID);
  world.pass(2 * healMs);
  const path = world.paths.of(ID);
  assert.deepEqual([path?.isDirect, path?.why], [false, "silent"]);
  assert.equal(path?.sinceMs, missedMs + 3 * (healMs / 4) + healMs);
  world.paths.explained(ID, "refused");
  assert.equal(world.paths.of(ID)?.why, "refused");
  assert.ok(world.pass(5 * healMaxMs).length > 0, "tried again");
  world.paths.answered(ID, at(B));
  assert.deepEqual([world.paths.of(ID)?.isDirect, world.paths.of(ID)?.why], [true, undefined]);
});

test("new addresses are followed, known good ones kept, a dead peer's paths forgotten", () => {
  const world = new World([A, B]);
  world.paths.heard(ID, at(B));
  world.known = record([C, B], {}, 2);
  assert.equal(world.inUse(), B);
  world.known = record([C], {}, 3);
  assert.equal(world.inUse(), C);
  world.paths.answered(ID, at(C));
  world.known = { ...world.known, state: "dead" };
  assert.equal(world.inUse(), C);
  assert.equal(world.paths.of(ID), undefined);
  assert.equal(world.paths.pace, undefined);
  world.paths.forget(ID);
  assert.deepEqual(world.paths.others(ID), []);
});

test("an address that this host has as well leads to itself and is not used", () => {
  const world = new World([A, B], [A]);
  assert.equal(world.inUse(), B);
  assert.deepEqual(world.paths.others(ID), []);
});

test("records carry up to four addresses, each valid, the rest is refused", () => {
  const hosts = [A, "fd00::2", B, C];
  const read = readRecord(wireRecord(record(hosts)), "r");
  assert.deepEqual([read.meta.hosts, read.meta.advertise], [hosts, at(A)]);
  const placed = { ...record(hosts), meta: { ...record(hosts).meta, advertise: at(B) } };
  assert.deepEqual(wireRecord(placed), wireRecord(record(hosts)), "the order is the peer's own");
  const plain = wireRecord(record([A]));
  assert.ok(Array.isArray(plain) && plain.length === 9, "as before several addresses");
  assert.equal(readRecord(plain, "r").meta.hosts, undefined);
  for (const others of [["224.0.0.1"], ["host"], [B, C, "10.3.0.2", "10.4.0.2"], [7], "x"]) {
    const wire = [...(plain as []), others];
    assert.throws(() => readRecord(wire, "r"), { code: "BAD_MESSAGE" }, String(others));
  }
});
