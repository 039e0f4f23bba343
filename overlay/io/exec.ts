/**
 * The one place that starts programs: with a deadline, input on stdin, and typed errors.
 *
 * Law: a program that is missing, hangs or fails becomes a TsweaveError that names the command
 * and what helps. No shell ever sees a value from outside.
 */
import { execa } from "execa";
import { TsweaveError } from "../../mesh/index.ts";

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  /** A non-zero exit is returned instead of thrown. */
  readonly tolerant?: boolean;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Runs one command to its end. */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

const DEFAULT_TIMEOUT_MS = 10_000;

/** Debian package of each program the product starts. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  setpriv: "util-linux",
  stdbuf: "coreutils",
};

/** Environment for children: C locale, and sbin also where a login shell leaves it out. */
export function toolEnv(): Record<string, string> {
  const path = process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin";
  return { ...process.env, PATH: `${path}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: "C" };
}

/**
 * Runs `argv`. Throws `TOOL_MISSING` when the program does not exist, `TIMED_OUT` after
 * `timeoutMs` (the program is killed), `COMMAND_FAILED` on a non-zero exit unless tolerant.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file = "", ...args] = argv;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const result = await execa(file, args, {
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    reject: false,
    stripFinalNewline: false,
    extendEnv: false,
    env: toolEnv(),
  });
  if (result.code === "ENOENT") throw toolMissing(file, result.cause);
  if (result.timedOut) {
    throw new TsweaveError("TIMED_OUT", `${label(argv)} did not end within ${timeoutMs} ms`);
  }
  const exitCode = result.exitCode ?? -1;
  const done = { stdout: result.stdout, stderr: result.stderr, exitCode };
  if (exitCode !== 0 && options.tolerant !== true) throw commandFailed(argv, done);
  return done;
}

/** `TOOL_MISSING` with the package that brings the tool. */
export function toolMissing(tool: string, cause?: unknown): TsweaveError {
  const hint = `apt-get install ${PACKAGES[tool] ?? tool}`;
  return new TsweaveError("TOOL_MISSING", `${tool} is not installed`, { hint, cause });
}

/** `COMMAND_FAILED` with the command, its exit code and the first line it complained with. */
export function commandFailed(argv: readonly string[], result: RunResult): TsweaveError {
  const first = result.stderr.split("\n").find((line) => line.trim() !== "") ?? "no message";
  return new TsweaveError("COMMAND_FAILED", `${label(argv)}: exit ${result.exitCode}: ${first}`);
}

function label(argv: readonly string[]): string {
  const text = argv.join(" ");
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
