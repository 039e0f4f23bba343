// Runs a bundle once and writes what the engine has compiled of it by then beside it, as
// BUNDLE.cache. Usage: code-cache.cjs BUNDLE-WITHOUT-ENDING ARGUMENT…
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { resolve } = require("node:path");
const { Script } = require("node:vm");

const [bundle] = process.argv.splice(2, 1);
const filename = `${resolve(bundle)}.js`;
const script = new Script(readFileSync(filename, "latin1"), { filename });
process.on("exit", () => writeFileSync(`${bundle}.cache`, script.createCachedData()));
script.runInThisContext()(createRequire(filename), { exports: {} });
