// Bundles the daemon and command line into one executable file, dist/tsweave.js, and writes its
// manual page, dist/tsweave.1.
import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { tsImport } from "tsx/esm/api";

// The map's page is put together now: in the bundle the finished page stands for its maker.
const { pageSource } = await tsImport("../../cli/web/page-source.ts", import.meta.url);
const page = {
  name: "page",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/cli\/web\/page-source\.ts$/ }, () => ({
      contents: `export const pageSource = () => ${JSON.stringify(pageSource())};`,
      loader: "js",
    })),
};

await build({
  entryPoints: ["cli/main.ts"],
  outfile: "dist/tsweave.js",
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  plugins: [page],
  alias: { farmhash: "./mesh/io/no-farmhash.ts" },
  banner: {
    js: [
      "#!/usr/bin/env node",
      'import { createRequire as tsweaveRequire } from "node:module";',
      "const require = tsweaveRequire(import.meta.url);",
    ].join("\n"),
  },
  logLevel: "warning",
});
chmodSync("dist/tsweave.js", 0o755);
writeFileSync(
  "dist/tsweave.1",
  execFileSync(process.execPath, ["dist/tsweave.js", "help", "--man"]),
);
