/** The executable built from the sources as they are, for tests that start it as a process. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./sources.ts";

/** Builds into a directory of the test's own; the path of the executable. */
export function freshBundle(directory: string): string {
  execFileSync(process.execPath, [join(ROOT, "test/lib/build.mjs"), directory], { cwd: ROOT });
  return join(directory, "tsweave.js");
}
