/** Rows of many peers that come together: one write, and nothing is known before it is on disk. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { Intake } from "../../../ipalloc/intake.ts";
import { Ledger } from "../../../ipalloc/ledger.ts";
import { type Ownership, recordAt } from "../../../ipalloc/ownership.ts";
import { encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import type { RowChange, WireValue } from "../../../mesh/index.ts";
import { settle } from "../../lib/virtual-clock.ts";
import { SimStore } from "./sim-disk.ts";
import { SimMesh } from "./sim-mesh.ts";

const MESH = "00000000000000ff";
const SELF = "f".repeat(32);
const STORE = "ffffffffffffffff";
const CIDRS = [parseCidr("10.40.0.0/16"), parseCidr("10.41.0.0/16")];
const PEERS = 40;

const storeOf = (n: number): string => (n + 1).toString(16).padStart(16, "0");

/** A peer's row: every 40th address of the pool's beginning is its own by a later step. */
function rowOf(n: number, each: number, pool: number): RowChange {
  const cidr = CIDRS[pool] ?? parseCidr("");
  const owner = storeOf(n);
  const by = storeOf((n + 1) % PEERS);
  const view: Ownership = Array.from({ length: each }, (_, nth) => {
    const start = cidr.start + BigInt(nth * PEERS + n);
    return { start, end: start + 1n, generation: 0, step: 1 + nth, owner, by };
  });
  const value: WireValue = [MESH, owner, cidr.text, encodeOwnership(view, 32), 0];
  return { origin: owner.padEnd(32, "1"), table: "ranges", key: cidr.text, value };
}

async function open(): Promise<{ mesh: SimMesh; ledger: Ledger; intake: Intake }> {
  const mesh = new SimMesh(1, 1);
  const { clock, log } = mesh;
  const store = new SimStore(mesh, mesh.host(0), () => true);
  const ledger = await Ledger.open({ clock, log, store }, () => STORE);
  const founders = Array.from({ length: PEERS }, (_, n) => storeOf(n)).map((one) => ({
    store: one,
    peer: one.padEnd(32, "1"),
  }));
  await ledger.exclusive((commit) =>
    commit({ kind: "founding", founding: { meshId: MESH, founders } }),
  );
  return { mesh, ledger, intake: new Intake({ log }, ledger, SELF, () => undefined) };
}

const rows = (each: number) =>
  [0, 1].flatMap((pool) => Array.from({ length: PEERS }, (_, n) => rowOf(n, each, pool)));

function owners(ledger: Ledger): (string | undefined)[] {
  return CIDRS.map((cidr) => {
    const ownership = ledger.state.pool(cidr.text)?.ownership ?? [];
    return recordAt(ownership, cidr.start + 7n)?.owner;
  });
}

test("many rows are one write a pool, also where they hold more than one row may", async () => {
  const { mesh, ledger, intake } = await open();
  const { disk } = mesh.host(0);
  const before = disk.records.length;
  // 8000 intervals a pool.
  intake.receive(rows(200));
  await settle();
  assert.equal(disk.records.length - before, 2);
  assert.deepEqual(owners(ledger), [storeOf(7), storeOf(7)]);
  const again = await Ledger.open(
    { clock: mesh.clock, log: mesh.log, store: new SimStore(mesh, mesh.host(0), () => true) },
    () => "",
  );
  for (const { text } of CIDRS) {
    assert.ok((ledger.state.pool(text)?.ownership.length ?? 0) > 8000);
    assert.deepEqual(again.state.pool(text)?.ownership, ledger.state.pool(text)?.ownership);
  }
  intake.receive(rows(200));
  await settle();
  assert.equal(disk.records.length - before, 2, "nothing new is not written");
});

test("rows that could not be written are not known, and come with the next", async () => {
  const { mesh, ledger, intake } = await open();
  const { disk } = mesh.host(0);
  disk.failure = new Error("no space left");
  intake.receive(rows(3));
  await settle();
  for (const owner of owners(ledger)) assert.notEqual(owner, storeOf(7));
  disk.failure = undefined;
  intake.receive([rowOf(1, 4, 0)]);
  await settle();
  assert.deepEqual(owners(ledger), [storeOf(7), storeOf(7)]);
});

test("a row that shows what this store wrote and forgot ends the batch", async () => {
  const { mesh, ledger, intake } = await open();
  const [cidr] = CIDRS;
  if (cidr === undefined) return;
  const start = cidr.start + 7n;
  const gift = [{ start, end: start + 1n, generation: 0, step: 9, owner: storeOf(2), by: STORE }];
  const value: WireValue = [MESH, storeOf(2), cidr.text, encodeOwnership(gift, 32), 0];
  const origin = storeOf(2).padEnd(32, "1");
  intake.receive([...rows(2), { origin, table: "ranges", key: cidr.text, value }]);
  await settle();
  assert.ok(ledger.state.retired);
  assert.deepEqual(
    ledger.losses.map(({ code }) => code),
    ["STATE_SET_BACK"],
  );
  assert.ok(mesh.host(0).disk.durable?.retired);
});
