/**
 * The one place that starts programs: with a deadline, input on stdin, and typed errors; and those
 * that run beside the daemon (a monitor), whose lines are read as they come.
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
 * Of every program. Output is bounded by execa: 100 MB, ten times the tables of the largest mesh.
 * Its own clean-up at exit would take the daemon's signals; what runs beside dies with its parent.
 */
const COMMON = { reject: false, extendEnv: false, env: toolEnv(), cleanup: false } as const;

/**
 * Runs `argv`. Throws `TOOL_MISSING` when the program does not exist, `TIMED_OUT` after
 * `timeoutMs` (the program is killed), `COMMAND_FAILED` on a non-zero exit unless tolerant.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file = "", ...args] = argv;
  if (argv.some((word) => word.includes("\0"))) {
    throw new TsweaveError("COMMAND_FAILED", `${label(argv)}: a word with a NUL byte`);
  }
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const child = execa(file, args, {
    ...COMMON,
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
    stripFinalNewline: false,
  });
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
    // What it started may hold these open: nobody waits for that.
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeoutMs);
  const result = await child;
  clearTimeout(deadline);
  if (result.code === "ENOENT") throw toolMissing(file, result.cause);
  if (isLate) {
    throw new TsweaveError("TIMED_OUT", `${label(argv)} did not end within ${timeoutMs} ms`);
  }
  const exitCode = result.exitCode ?? -1;
  const stderr = result.stderr || (result.originalMessage ?? "");
  const done = { stdout: result.stdout, stderr, exitCode };
  if (exitCode !== 0 && options.tolerant !== true) throw commandFailed(argv, done);
  return done;
}

/** Ahead of what runs beside the daemon: it dies with it, also on kill -9. */
export const DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

/** A program that runs until it is killed, or ends by itself. */
export interface RunningProgram {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  readonly kill: () => void;
  /** Resolves with how it ended. Never rejects. */
  readonly ended: Promise<string>;
}

/** Starts `argv`; `take` hears what it prints, piece by piece. */
export function runBeside(argv: readonly string[], take: (bytes: Buffer) => void): RunningProgram {
  const [file = "", ...args] = argv;
  const child = execa(file, args, { ...COMMON, stdin: "ignore", stderr: "ignore", buffer: false });
  child.stdout.on("data", take);
  const ended = child.then(({ shortMessage }) => shortMessage ?? "ended");
  return { pid: child.pid, kill: () => void child.kill("SIGKILL"), ended };
}

/** A program that reads what it is given, until it is killed or this process ends. */
export interface OpenProgram {
  readonly write: (text: string) => void;
  readonly kill: () => void;
  /** Resolves with the exit code, -1 when it was killed. Never rejects. */
  readonly ended: Promise<number>;
}

/**
 * Starts `argv`, which goes on reading; `take` hears all that it prints, errors among it in their
 * order. A program that does not exist ends with 127, the shell's own code.
 */
export function runOpen(argv: readonly string[], take: (bytes: Buffer) => void): OpenProgram {
  const words = ["-c", 'exec "$@" 2>&1', "sh", ...argv];
  const child = execa("sh", words, { ...COMMON, stdin: "pipe", stderr: "ignore", buffer: false });
  // What cannot be written is told by the end of the process.
  child.stdin.on("error", () => undefined);
  child.stdout.on("data", take);
  return {
    write: (text) => void child.stdin.write(text),
    kill: () => void child.kill("SIGKILL"),
    ended: child.then(({ exitCode }) => exitCode ?? -1),
  };
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
