/** The house style that a formatter cannot check. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LAYERS, sourcesIn } from "./lib/sources.ts";

const FILE_LINES_MAX = 450;
const FILE_LINES_MEDIAN = 130;
const FUNCTION_LINES_MAX = 60;
const COLUMNS_MAX = 100;

const product = LAYERS.flatMap((layer) => sourcesIn(layer));
const tests = sourcesIn("test");

/** Functions and methods by indentation: from a line that opens one to its closing brace. */
function longFunctions(lines: readonly string[]): string[] {
  const long: string[] = [];
  lines.forEach((line, start) => {
    const opens =
      /^(\s*)(export )?(async )?(function\b|(static |async |#)*[\w#]+\(.*\).*\{$|[\w#]+\($)/.exec(
        line,
      );
    if (opens === null || /^\s*(if|for|while|switch|return|describe|it)\b/.test(line)) return;
    const indent = opens[1] ?? "";
    const end = lines.findIndex((other, at) => at > start && other === `${indent}}`);
    if (end - start + 1 > FUNCTION_LINES_MAX) long.push(`${line.trim()} ${end - start + 1} lines`);
  });
  return long;
}

describe("house style", () => {
  it("sees the whole product", () => {
    assert.ok(product.length > 60, `only ${product.length} files scanned`);
  });

  it("has short files, one idea each", () => {
    const long = product.filter(({ lines }) => lines.length > FILE_LINES_MAX);
    assert.deepEqual(
      long.map(({ path, lines }) => `${path} ${lines.length}`),
      [],
    );
    const lengths = product.map(({ lines }) => lines.length).sort((a, b) => a - b);
    const median = lengths[Math.floor(lengths.length / 2)] ?? 0;
    assert.ok(median <= FILE_LINES_MEDIAN, `median file has ${median} lines`);
  });

  it("has short functions", () => {
    const long = product.flatMap(({ path, lines }) =>
      longFunctions(lines).map((name) => `${path}: ${name}`),
    );
    assert.deepEqual(long, []);
  });

  it("has lines of at most 100 columns", () => {
    const wide = [...product, ...tests].flatMap(({ path, lines }) =>
      lines.flatMap((line, at) => (line.length > COLUMNS_MAX ? [`${path}:${at + 1}`] : [])),
    );
    assert.deepEqual(wide, []);
  });

  it("opens each file with a comment that says why it exists", () => {
    const bare = [...product, ...tests].filter(({ text }) => !/^(#!.*\n)?\/(\*\*|\/)/.test(text));
    assert.deepEqual(
      bare.map(({ path }) => path),
      [],
    );
  });

  it("names files in kebab-case", () => {
    const odd = [...product, ...tests].filter(({ path }) => {
      return !/^[a-z0-9-]+(\.(test|d))?\.ts$/.test(path.split("/").at(-1) ?? "");
    });
    assert.deepEqual(
      odd.map(({ path }) => path),
      [],
    );
  });

  it("says the bound of every collection that outlives a call", () => {
    const unbounded = product.flatMap(({ path, lines }) =>
      lines.flatMap((line, at) => {
        if (!/^\s+(readonly |private )*#?\w+(: [^=]+)? = new (Map|Set)\b/.test(line)) return [];
        if (/^\s+(const|let)\b/.test(line)) return [];
        const before = lines.slice(Math.max(0, at - 6), at).join("\n");
        return /BOUNDED:/.test(before) ? [] : [`${path}:${at + 1}`];
      }),
    );
    assert.deepEqual(unbounded, []);
  });

  it("leaves no unfinished marks, and no skipped or focused test", () => {
    const mark = new RegExp(`\\b(${["TO", "DO"].join("")}|${["FIX", "ME"].join("")}|XXX)\\b`);
    const focus = /\b(it|test|describe)\.(only|todo)\b/;
    const found = [...product, ...tests].filter(({ text }) => mark.test(text) || focus.test(text));
    assert.deepEqual(
      found.map(({ path }) => path).filter((path) => path !== "test/style.test.ts"),
      [],
    );
  });
});
