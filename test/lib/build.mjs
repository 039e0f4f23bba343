// Bundles the daemon and command line into one executable file, dist/tsweave.js, and writes its
// manual page, dist/tsweave.1, and the licences of what is bundled, dist/third-party.txt.
// Usage: build.mjs [DIRECTORY instead of dist]
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { tsImport } from "tsx/esm/api";

const [, , out = "dist"] = process.argv;

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

const { metafile } = await build({
  metafile: true,
  entryPoints: ["cli/main.ts"],
  outfile: `${out}/tsweave.js`,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  // Half the size, and free of the letters that make a JavaScript engine keep two bytes for each
  // character of the source; names stay as they are, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
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
chmodSync(`${out}/tsweave.js`, 0o755);
writeFileSync(
  `${out}/tsweave.1`,
  execFileSync(process.execPath, [`${out}/tsweave.js`, "help", "--man"]),
);

// Every package in the bundle with its licence, as those ask for.
const folders = new Set(
  Object.keys(metafile.inputs).flatMap((path) => {
    return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [];
  }),
);
const notices = [...folders].toSorted().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const text =
    file === undefined ? `Licence: ${license}` : readFileSync(`${folder}/${file}`, "utf8");
  return `== ${name} ${version}\n\n${text.trim()}\n`;
});
if (notices.length === 0) throw new Error("no package is in the bundle");
writeFileSync(`${out}/third-party.txt`, [...new Set(notices)].join("\n"));
