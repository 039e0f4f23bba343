/** Imports go downward through doors only, and the core is pure. Fails if it scanned nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { importsOf, LAYERS, type Layer, type Source, sourcesIn } from "./lib/sources.ts";

const BELOW: Record<Layer, readonly Layer[]> = {
  mesh: [],
  ipalloc: ["mesh"],
  overlay: ["ipalloc", "mesh"],
  dns: ["ipalloc", "mesh"],
  cli: ["overlay", "dns", "ipalloc", "mesh"],
};

/** The composition root may build adapters; others enter a folder by its door alone. */
const ADAPTERS = /^(mesh|ipalloc|overlay|dns)\/io\//;

const IMPURE_MODULES = new Set([
  ..."dgram net http https fs fs/promises child_process os timers timers/promises"
    .split(" ")
    .map((name) => `node:${name}`),
  ..."node:process node:dns node:dns/promises pino swim".split(" "),
]);
const IMPURE_WORDS = new RegExp(
  `\\b(${[
    "setTimeout|setInterval|setImmediate|Math\\.random|Date\\.now|new Date",
    "performance\\.now|process\\.",
  ].join("|")})`,
);

const layerOf = (path: string): Layer | undefined =>
  LAYERS.find((layer) => path.startsWith(`${layer}/`));
const isPure = (path: string): boolean => !path.includes("/io/") && !path.startsWith("cli/");

function code(source: Source): string {
  return source.text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

const sources = LAYERS.flatMap((layer) => sourcesIn(layer));

describe("layers", () => {
  it("sees the whole product", () => {
    assert.ok(sources.length > 60, `only ${sources.length} files scanned`);
    for (const layer of LAYERS) {
      assert.ok(
        sources.some((source) => source.path.startsWith(`${layer}/`)),
        layer,
      );
    }
  });

  it("imports only downward, and through index.ts", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const from = layerOf(source.path);
      for (const name of importsOf(source)) {
        const to = layerOf(name);
        if (from === undefined || to === undefined || from === to) continue;
        if (!BELOW[from].includes(to)) wrong.push(`${source.path} -> ${name}`);
        else if (name !== `${to}/index.ts` && !(from === "cli" && ADAPTERS.test(name))) {
          wrong.push(`${source.path} -> ${name} (use ${to}/index.ts)`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("keeps I/O, time and chance out of the core", () => {
    const wrong: string[] = [];
    for (const source of sources.filter(({ path }) => isPure(path))) {
      for (const name of importsOf(source)) {
        if (IMPURE_MODULES.has(name)) wrong.push(`${source.path} imports ${name}`);
      }
      const word = IMPURE_WORDS.exec(code(source));
      if (word !== null) wrong.push(`${source.path} uses ${word[0]}`);
    }
    assert.deepEqual(wrong, []);
  });

  it("lets only one file import each wire library", () => {
    const importers = sources.filter((source) => importsOf(source).includes("msgpack-lite"));
    assert.deepEqual(
      importers.map(({ path }) => path),
      ["mesh/wire/msgpack.ts"],
    );
  });
});
