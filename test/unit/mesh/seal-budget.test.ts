/** Whatever the tables and membership put into a datagram, sealed it keeps the size limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../../mesh/index.ts";
import { PACKET_BYTES_MAX } from "../../../mesh/membership/timing.ts";
import { encodeTablesMessage, pieces } from "../../../mesh/tables/push.ts";
import { Keyring } from "../../../mesh/wire/keyring.ts";
import { Seal } from "../../../mesh/wire/seal.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { key } from "./seal-fixture.ts";

const random = { u32: () => 7, bytes: (count: number) => Buffer.alloc(count, 1) };
const seal = new Seal({ clock: new VirtualClock(), random }, Keyring.of(key(1)));
const BIG = Number.MAX_SAFE_INTEGER - 100;
const id = "f".repeat(32);

const row = fc.record({
  table: fc.constantFrom("endpoints", "abcdefghijklmnop"),
  key: fc.string({ maxLength: LIMITS.rowKeyLengthMax / 4, unit: "grapheme" }),
  bytes: fc.option(fc.uint8Array({ minLength: 1, maxLength: 600, size: "max" })),
});

test("every piece of a push, relayed and sealed, is at most the datagram limit", () => {
  let largest = 0;
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 12, size: "max" }), (drafts) => {
      const rows = drafts.map((draft, at) => ({
        ...draft,
        key: draft.key.slice(0, LIMITS.rowKeyLengthMax),
        seq: BIG + at,
      }));
      const to = BIG + rows.length;
      const cut = pieces({ origin: id, incarnation: BIG, from: BIG, to, whole: false, rows }) ?? [];
      for (const delta of cut) {
        const range = { first: id, last: id };
        const payload = encodeTablesMessage({ type: "relay", sender: id, delta, range });
        const bytes = seal.seal("datagram", 2, payload).length;
        largest = Math.max(largest, bytes);
        assert.ok(bytes <= LIMITS.datagramBytesMax, `${bytes} bytes for ${delta.rows.length} rows`);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
  assert.ok(largest > 1200, `${largest}: the room is used`);
});

test("a full membership packet, sealed, is at most the datagram limit", () => {
  const sealed = seal.seal("datagram", 1, Buffer.alloc(PACKET_BYTES_MAX));
  assert.equal(sealed.length, LIMITS.datagramBytesMax);
});
