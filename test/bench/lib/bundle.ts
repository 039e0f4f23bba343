/**
 * Worker processes of the benches are bundled like the product, so that their start and their
 * memory are the product's and not those of a TypeScript loader.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "../../lib/sources.ts";
import type { Cleanup } from "./cleanup.ts";

/** A directory of this run alone, removed by the cleanup. */
export function scratchDir(cleanup: Cleanup): string {
  const dir = mkdtempSync(join(tmpdir(), "tsweave-bench-"));
  cleanup.add(dir, () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Bundles a file of this folder (`mesh/worker.ts`) into `dir`; the path of the result. */
export async function bundle(entry: string, dir: string): Promise<string> {
  const outfile = join(dir, `${entry.replace(/\W/g, "-")}.mjs`);
  const banner = [
    'import { createRequire as benchRequire } from "node:module";',
    "const require = benchRequire(import.meta.url);",
  ];
  await build({
    entryPoints: [join(ROOT, "test/bench", entry)],
    outfile,
    absWorkingDir: ROOT,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    alias: { farmhash: "./mesh/io/no-farmhash.ts" },
    banner: { js: banner.join("\n") },
    logLevel: "warning",
  });
  return outfile;
}
