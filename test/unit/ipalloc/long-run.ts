/**
 * `npm run sim:ranges -- --schedules N --from SEED`: a long run of the schedules of ownership, from
 * one bundled file. `--bundle FILE` only writes that file, to be run by `node FILE` with the same
 * flags while the sources are worked on.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

async function bundle(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("long-run-lives.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: {
      js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);',
    },
    logLevel: "warning",
  });
}

const argv = process.argv.slice(2);
const at = argv.indexOf("--bundle");
const [asked] = at < 0 ? [] : argv.splice(at, 2).slice(1);
if (at >= 0) {
  if (asked === undefined) throw new Error("--bundle needs the name of the file to write");
  await bundle(asked);
} else {
  const folder = mkdtempSync(join(tmpdir(), "tsweave-ranges-"));
  try {
    const file = join(folder, "lives.mjs");
    await bundle(file);
    // Lives are short: what they leave is dropped while it is young.
    const flags = ["--max-semi-space-size=32", file, ...argv];
    process.exitCode = spawnSync(process.execPath, flags, { stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
