/**
 * Runs commands for the lab and waits for conditions. Keeps one law: a command that fails says
 * which command, its exit code and what it wrote, so that a red test explains itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** What a finished command left. `code` is null when a signal ended it. */
export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface ExecOptions {
  /** Ends the command with SIGKILL after this long and throws. Default 60 000. */
  readonly timeoutMs?: number;
  /** Written to stdin, which is then closed. Without it stdin is /dev/null. */
  readonly input?: string | Buffer;
  /** true: a non-zero exit code is returned instead of thrown. */
  readonly allowFailure?: boolean;
  /** The whole environment. Default: this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A command that ended with a non-zero code, a signal or by its timeout. */
export class ExecError extends Error {
  readonly argv: readonly string[];
  readonly result: ExecResult;

  constructor(argv: readonly string[], result: ExecResult, why: string) {
    const output = `${result.stderr}${result.stdout}`.trim();
    super(`${argv.join(" ")}: ${why}${output === "" ? "" : `\n${output}`}`);
    this.name = "ExecError";
    this.argv = argv;
    this.result = result;
  }
}

/** Runs `argv` in its own process group and resolves when it has exited. Throws ExecError. */
export async function run(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    detached: true,
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env: options.env ?? process.env,
  });
  const timeoutMs = options.timeoutMs ?? 60_000;
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, timeoutMs);
  try {
    const result = await collect(child, options.input);
    if (timedOut) throw new ExecError(argv, result, `still running after ${timeoutMs} ms`);
    if (result.code !== 0 && options.allowFailure !== true) {
      throw new ExecError(argv, result, `exit code ${result.code}`);
    }
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Gathers a child's output until it exits. A background process that inherited the pipes must not
 * hold the caller, so after the exit they are read for at most 300 ms more.
 */
function collect(child: ChildProcess, input: string | Buffer | undefined): Promise<ExecResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A command may exit without reading its input; its exit code tells, not the broken pipe.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  return new Promise((resolve, reject) => {
    let linger: NodeJS.Timeout | undefined;
    const finish = (code: number | null) => {
      clearTimeout(linger);
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
        code,
      });
    };
    child.once("error", reject);
    child.once("exit", (code) => {
      linger = setTimeout(finish, 300, code);
    });
    child.once("close", finish);
  });
}

/** Ends a process group made with `detached`. A group that is already gone is fine. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/**
 * Polls until `condition` gives anything but undefined or false, and returns that.
 * Throws, naming `what`, when `timeoutMs` have passed.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 10_000, everyMs = 25 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`gave up after ${timeoutMs} ms: ${what}`);
    await sleep(everyMs);
  }
}
