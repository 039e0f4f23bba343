/** The built program, for tests that start it as a process. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { programFiles } from "../../cli/packaging/program-files.ts";
import { ROOT } from "./sources.ts";

const SOURCES = ["mesh", "overlay", "ipalloc", "dns", "cli"];

/**
 * The executable in dist, or the one that TSWEAVE_BUNDLE names to be tried. Throws where sources
 * are newer: a test of an old program says nothing.
 */
export function builtProgram(): string {
  const { TSWEAVE_BUNDLE: named } = process.env;
  if (named !== undefined) return named;
  const program = join(ROOT, "dist/tsweave.js");
  const builtMs = statSync(program).mtimeMs;
  const newer = SOURCES.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) =>
      join(ROOT, folder, name),
    ),
  ).find((path) => /\.(ts|css|html)$/.test(path) && statSync(path).mtimeMs > builtMs);
  if (newer !== undefined) throw new Error(`${newer} is newer than ${program}: npm run build`);
  return program;
}

/** Builds the sources as they are into a directory of the test's own; the executable's path. */
export function freshBundle(directory: string): string {
  execFileSync(process.execPath, [join(ROOT, "test/lib/build.mjs"), directory], { cwd: ROOT });
  return join(directory, "tsweave.js");
}

/** Copies a built program, with its bundle's text changed if asked; the new executable's path. */
export function copyProgram(
  executable: string,
  directory: string,
  change?: (text: string) => string,
): string {
  mkdirSync(directory, { recursive: true });
  cpSync(join(dirname(executable), "package.json"), join(directory, "package.json"));
  for (const { name, path, mode } of programFiles(executable)) {
    const to = join(directory, name);
    const isBundle = name.startsWith("main-");
    if (change === undefined || !isBundle) cpSync(path, to);
    // The compiled form is of the text before.
    else if (name.endsWith(".js")) writeFileSync(to, change(readFileSync(path, "utf8")), { mode });
  }
  return join(directory, "tsweave.js");
}
