/**
 * Read commands need less than 0.3 s, the start of the process included. Counted in processor time:
 * other tests run beside this one, and nothing here waits.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { build } from "esbuild";
import { ROOT } from "../../lib/sources.ts";
import { daemon } from "./fixture-run.ts";

const LIMIT_MS = 300;
const TRIES = 4;

it("status and its tables, as the bundle that people run", async (context) => {
  const dir = mkdtempSync(join(tmpdir(), "tsweave-speed-"));
  context.after(() => rmSync(dir, { recursive: true }));
  const bundle = join(dir, "tsweave.mjs");
  const require =
    'import { createRequire } from "node:module";const require = createRequire(import.meta.url);';
  await build({
    absWorkingDir: ROOT,
    entryPoints: ["cli/main.ts"],
    outfile: bundle,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    alias: { farmhash: "./mesh/io/no-farmhash.ts" },
    banner: { js: require },
    logLevel: "silent",
  });
  assert.ok(existsSync(bundle));
  const { runDir } = await daemon(context);
  for (const words of [["status"], ["status", "endpoints", "--json"], ["events"], ["wait"]]) {
    const runs = Array.from({ length: TRIES }, () =>
      timed(bundle, [...words, "--run-dir", runDir]),
    );
    const best = runs.reduce((one, other) => (other.cpuMs < one.cpuMs ? other : one));
    const figures = `${best.cpuMs} ms of processor, ${best.wallMs} ms of wall time`;
    context.diagnostic(`tsweave ${words.join(" ")}: ${figures}`);
    assert.ok(best.cpuMs < LIMIT_MS, `tsweave ${words.join(" ")}: ${figures}`);
  }
});

/** One run, its processor time as the shell counts it. */
function timed(bundle: string, words: readonly string[]): { cpuMs: number; wallMs: number } {
  const startMs = performance.now();
  const script = '"$@" >/dev/null || exit; times';
  const argv = ["-c", script, "sh", process.execPath, bundle, ...words];
  const { status, stdout, stderr } = spawnSync("bash", argv, { encoding: "utf8" });
  const wallMs = Math.round(performance.now() - startMs);
  assert.equal(status, 0, stderr);
  const [, children = ""] = stdout.split("\n");
  const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, m, s]) => Number(m) * 60 + Number(s),
  );
  return { cpuMs: Math.round(1000 * seconds.reduce((sum, part) => sum + part, 0)), wallMs };
}
