/** The files that a built program is: its executable and the bundle that it runs, in two forms. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface ProgramFile {
  readonly name: string;
  readonly path: string;
  readonly mode: number;
}

/** Those of an executable. They belong together, in one directory. */
export function programFiles(executable: string): ProgramFile[] {
  const directory = dirname(executable);
  const bundle = readdirSync(directory).filter((name) => /^main-[0-9a-f]+\.(js|cache)$/.test(name));
  const program = { name: basename(executable), path: executable, mode: 0o755 };
  return [program, ...bundle.map((name) => ({ name, path: join(directory, name), mode: 0o644 }))];
}
