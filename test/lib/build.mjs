// Builds the program into dist: the executable tsweave.js, the bundle of daemon and command line
// that it runs (main-DIGEST.js) and the compiled form of that (main-DIGEST.cache), the manual page,
// tsweave.1, and the licences of what is bundled, third-party.txt.
// Usage: build.mjs [DIRECTORY instead of dist]
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
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

const forNode = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  // Half the size; names stay as they are, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  write: false,
  logLevel: "warning",
};

// One expression: a function of the `require` and the `module` that it is to use. Nothing but ASCII, or the engine
// would keep two bytes for each character.
const { metafile, outputFiles } = await build({
  ...forNode,
  metafile: true,
  entryPoints: ["cli/main.ts"],
  plugins: [page],
  alias: { farmhash: "./mesh/io/no-farmhash.ts" },
  supported: { "dynamic-import": false },
  banner: { js: "(function (require, module) {" },
  footer: { js: "})" },
});
const text = outputFiles[0].text;
const main = `main-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
const { outputFiles: entry } = await build({
  ...forNode,
  entryPoints: ["cli/entry.ts"],
  define: { MAIN: JSON.stringify(main) },
  banner: { js: "#!/usr/bin/env node" },
});

mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) if (/^main-/.test(name)) rmSync(`${out}/${name}`);
writeFileSync(`${out}/${main}.js`, text);
// Beside a package.json that says "module", as in this repository, .js would be taken for such.
writeFileSync(`${out}/package.json`, '{ "type": "commonjs" }\n');
writeFileSync(`${out}/tsweave.js`, entry[0].text);
chmodSync(`${out}/tsweave.js`, 0o755);
const maker = fileURLToPath(new URL("code-cache.cjs", import.meta.url));
writeFileSync(
  `${out}/tsweave.1`,
  execFileSync(process.execPath, [maker, `${out}/${main}`, "help", "--man"]),
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
