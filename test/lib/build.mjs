// Bundles the daemon and command line into one executable file, dist/tsweave.js.
import { chmodSync } from "node:fs";
import { build } from "esbuild";

await build({
  entryPoints: ["cli/main.ts"],
  outfile: "dist/tsweave.js",
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
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
