/** Each test that test/ACCEPTANCE.md names exists; each origin in it has a test or a reason. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../lib/sources.ts";

const text = readFileSync(join(ROOT, "test/ACCEPTANCE.md"), "utf8");
/** A file below test/ and the beginning of a title in it, as the tables write them. */
const NAMED = /`([a-z]+\/[\w/-]+)` › ([^;|]+?)(?=; | \|)/g;
const TITLE_CHARS_MIN = 12;

const rows = text.split("\n").filter((line) => /^\| (?!origin|---)/.test(line));

test("every test that is named exists", () => {
  let count = 0;
  const missing: string[] = [];
  for (const [, file = "", title = ""] of text.matchAll(NAMED)) {
    count += 1;
    const path = join(ROOT, "test", `${file}.test.ts`);
    assert.ok(title.length >= TITLE_CHARS_MIN, `${file} › ${title}: too short to find a test by`);
    const isThere = existsSync(path) && readFileSync(path, "utf8").includes(title);
    if (!isThere) missing.push(`${file} › ${title}`);
  }
  assert.deepEqual(missing, []);
  assert.ok(count > 100, `${count} found: the table reads otherwise than was thought`);
});

test("every origin has a test, or a reason why not", () => {
  assert.ok(rows.length > 90, `${rows.length} rows`);
  for (const row of rows) assert.match(row, /` › |left out/, row);
});

test("Weave's numbers are all there", () => {
  const numbers =
    "090 100 101 105 110 111 115 120 130 135 140 150 175 190 191 195 200 205 210 215 220 225 230 " +
    "240 245 250 255 260 265 270 280 290 295 300 310 320 330 335 340 350 360 362 370 380 390 500 " +
    "510 610 640 660 700 705 800 810 820 830 840 850 860 870";
  const origins = rows.map((row) => row.split("|")[1] ?? "").join(" ");
  for (const number of numbers.split(" ")) assert.ok(origins.includes(number), number);
});
