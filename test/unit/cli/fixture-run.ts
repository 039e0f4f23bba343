/** Runs the command line, in this process or as a process of its own, and temporary directories. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { dispatch } from "../../../cli/dispatch.ts";
import { plain } from "../../../cli/render/style.ts";
import { ROOT } from "../../lib/sources.ts";

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command line without a process around it. */
export async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await dispatch(argv, {
    env,
    style: plain,
    interactive: false,
    write: (text) => {
      out += text;
    },
    note: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

/** The executable, as a process that has ended. */
export async function runProcess(
  argv: readonly string[],
  options: { readonly uid?: number } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, ["--import", "tsx", "cli/main.ts", ...argv], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  return { code, out, err };
}

/** A directory that goes with the test. */
export async function temporary(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tsweave-cli-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
