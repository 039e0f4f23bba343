/** Runs the command line, in this process or as a process of its own, and temporary directories. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { startControl } from "../../../cli/control/server.ts";
import { dispatch } from "../../../cli/dispatch.ts";
import { plain } from "../../../cli/render/style.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { ROOT } from "../../lib/sources.ts";
import { FakeBackend } from "./fixture-facts.ts";

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command line without a process around it. */
export async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  confirm?: (question: string) => Promise<boolean>,
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
    confirm,
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

/** A daemon of fixed facts as a process that serves the control API. */
export async function daemon(context: TestContext) {
  const runDir = join(await temporary(context), "run");
  mkdirSync(runDir);
  const fixture = fileURLToPath(import.meta.resolve("./fixture-daemon.ts"));
  const child = spawn(process.execPath, ["--import", "tsx", fixture, "serve", runDir], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  context.after(() => child.kill("SIGKILL"));
  for (let tries = 0; !existsSync(join(runDir, "control.sock")); tries++) {
    assert.ok(tries < 500, "the fixture did not serve");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { runDir, child };
}

/** A control server in this process with a backend of fixed facts, and the words that find it. */
export async function serving(context: TestContext) {
  const runDir = await temporary(context);
  const backend = new FakeBackend();
  const server = await startControl({ runDir, backend, log: new QuietLog() });
  context.after(() => server.close());
  return { backend, at: ["--run-dir", runDir] };
}
