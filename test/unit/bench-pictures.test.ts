/** The pictures beside RESULTS.md say what its tables say. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ratioBars, ratioRows } from "../bench/lib/ratio-bars.ts";
import { renderSection } from "../bench/lib/report.ts";
import { ratioDrawings } from "../bench/lib/results-file.ts";
import { ROOT } from "../lib/sources.ts";

const BENCH = join(ROOT, "test/bench");

describe("pictures of ratios", () => {
  it("are those of the tables as they are", () => {
    const drawings = ratioDrawings();
    const files = readdirSync(BENCH).filter((name) => /^ratios-.*\.svg$/.test(name));
    assert.deepEqual(drawings.map(({ file }) => file).sort(), files.sort());
    for (const { file, svg } of drawings) {
      assert.ok(readFileSync(join(BENCH, file), "utf8") === svg, `${file}: run npm run docs`);
    }
  });

  it("read what a bench writes: ratio, peer, and whether it is well", () => {
    const peer = { name: "raw batch", values: [10, 10, 12] };
    const better = "lower" as const;
    const figures = [
      { what: "quick & small", unit: "ms", ours: [5, 5, 6], peer, better },
      { what: "slow", unit: "ms", ours: [40], peer, better },
      { what: "alone", unit: "ms", ours: [7], better },
    ];
    const section = { name: "x", title: "x", figures, tables: [], notes: [] };
    const rows = ratioRows(renderSection(section, "here"));
    assert.deepEqual(rows, [
      { what: "slow", peer: "raw batch", ratio: 4, isWell: false },
      { what: "quick & small", peer: "raw batch", ratio: 0.5, isWell: true },
    ]);
    const svg = ratioBars("caption", rows);
    assert.match(svg, /quick &amp; small \/ raw batch/);
    const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)"/g)];
    const [slow = [], quick = []] = bars.map(([, x, width]) => [Number(x), Number(width)]);
    assert.equal(slow[0], (quick[0] ?? 0) + (quick[1] ?? 0), "both begin at 1");
    assert.ok(Math.abs((slow[1] ?? 0) - 2 * (quick[1] ?? 0)) < 0.2, "4 is twice as far as 1/2");
  });
});
