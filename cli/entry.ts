/**
 * The executable file: runs the bundle beside it from the compiled form that the build kept of it,
 * so that a command need not wait until an engine has read a program of which it uses a fiftieth.
 *
 * Law: that form is only a shortcut. Missing, cut short or another engine's, it is left aside. The
 * engine itself compares nothing but lengths, so the bundle's digest is in both files' names.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

/** The bundle's name without its ending; put in by the build. */
declare const MAIN: string;

const path = join(__dirname, MAIN);
const filename = `${path}.js`;
const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData: compiled() });
script.runInThisContext()(createRequire(filename), { exports: {} });

function compiled(): Buffer | undefined {
  try {
    return readFileSync(`${path}.cache`);
  } catch {
    return undefined;
  }
}
