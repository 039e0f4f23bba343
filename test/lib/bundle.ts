/** The built program, for tests that start it as a process. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { programFiles } from "../../cli/packaging/program-files.ts";
import { ROOT } from "./sources.ts";

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
