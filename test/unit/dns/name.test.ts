/** Names from the wire and as text: bounds, folding, unambiguous keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { labelsOf, nameKey, readName, skipName } from "../../../dns/name.ts";

const wire = (...labels: string[]) =>
  Buffer.concat([
    ...labels.map((label) =>
      Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]),
    ),
    Buffer.from([0]),
  ]);

test("reads a name where it stands", () => {
  const packet = Buffer.concat([Buffer.from([9, 9]), wire("Web", "tsweave"), Buffer.from([1])]);
  assert.deepEqual(readName(packet, 2), { labels: ["Web", "tsweave"], end: 15 });
  assert.equal(skipName(packet, 2), 15);
  assert.deepEqual(readName(wire(), 0), { labels: [], end: 1 });
});

const refused: [string, Uint8Array][] = [
  ["nothing", Buffer.from([])],
  ["a label cut off", Buffer.from([3, 97, 98])],
  ["no root", Buffer.from([1, 97])],
  ["a pointer to itself", Buffer.from([0xc0, 0])],
  ["a reserved label type", Buffer.from([0x40, 0])],
  ["256 bytes", wire(...Array.from({ length: 127 }, () => "a"), "b")],
];
for (const [what, packet] of refused) {
  test(`refuses ${what}`, () => assert.equal(readName(packet, 0), undefined));
}

test("255 bytes are a name", () => {
  const labels = Array.from({ length: 127 }, () => "a");
  assert.deepEqual(readName(wire(...labels), 0), { labels, end: 255 });
});

test("a skipped name ends at a pointer", () => {
  assert.equal(skipName(Buffer.from([1, 97, 0xc0, 0]), 0), 4);
  assert.equal(skipName(Buffer.from([1, 97, 0xc0]), 0), undefined);
});

test("keys fold ASCII only and never mix up label borders", () => {
  assert.equal(nameKey(["WEB", "TsWeave"]), "web.tsweave");
  assert.notEqual(nameKey(["a.b"]), nameKey(["a", "b"]));
  assert.equal(nameKey(["a.b"]), "a\\.b");
  assert.equal(nameKey(["a\\", "b"]), "a\\\\.b");
  assert.equal(nameKey(["\u00c0 "]), "\\192\\032");
});

test("text becomes labels only where DNS can carry it", () => {
  assert.deepEqual(labelsOf("my_web-1.back"), ["my_web-1", "back"]);
  for (const bad of ["", ".", "a..b", ".a", "a.", "a b", "ä", "a\\b", "x".repeat(64)]) {
    assert.equal(labelsOf(bad), undefined, bad);
  }
  const longest = `${"x".repeat(63)}.`.repeat(3);
  assert.notEqual(labelsOf(`${longest}${"x".repeat(61)}`), undefined);
  assert.equal(labelsOf(`${longest}${"x".repeat(62)}`), undefined);
});
