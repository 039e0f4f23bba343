/** The simulator built anew from a source in which one mistake was planted. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import type { Mutant } from "./mutants.ts";
import type { simulate } from "./sim-run.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

type Simulate = typeof simulate;

export class MutantWorkshop {
  readonly #dir = mkdtempSync(join(tmpdir(), "tsweave-mutants-"));

  constructor() {
    symlinkSync(join(ROOT, "node_modules"), join(this.#dir, "node_modules"));
    mkdirSync(join(this.#dir, "built"));
  }

  /** `simulate` of a product with the mistake, a module graph of its own. */
  async simulator(mutant: Mutant): Promise<Simulate> {
    const outfile = join(this.#dir, "built", `${mutant.name}.mjs`);
    await build({
      entryPoints: [join(ROOT, "test/sim/sim-run.ts")],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      plugins: [planting(mutant)],
      logLevel: "error",
    });
    const module: { readonly simulate: Simulate } = await import(outfile);
    return module.simulate;
  }

  close(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

function planting(mutant: Mutant): Plugin {
  const path = join(ROOT, mutant.file);
  return {
    name: "mutant",
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.ts$/ }, (file) => {
        if (file.path !== path) return undefined;
        return { contents: plant(readFileSync(path, "utf8"), mutant), loader: "ts" };
      });
    },
  };
}

/** @throws Error where a text to be replaced is not there exactly once. */
function plant(source: string, { name, file, changes }: Mutant): string {
  return changes.reduce((text, [from, to]) => {
    const parts = text.split(from);
    if (parts.length === 2) return parts.join(to);
    const found = `${parts.length - 1} times`;
    throw new Error(`mutant ${name}: ${file} has this ${found}, adapt mutants.ts: ${from}`);
  }, source);
}
