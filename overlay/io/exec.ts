/**
 * The one place that starts programs: with a deadline, input on stdin, and typed errors; and those
 * that run beside the daemon (a monitor), whose lines are read as they come.
 *
 * Law: a program that is missing, hangs or fails becomes a TsweaveError that names the command
 * and what helps. No shell ever sees a value from outside.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { messageOf, TsweaveError } from "../../mesh/index.ts";

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
/** Tables of the largest mesh are a tenth of it. */
const OUTPUT_CHARS_MAX = 100_000_000;

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
  const [file = ""] = argv;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const stdin = options.input === undefined ? "ignore" : "pipe";
  const child = start(argv, { stdio: [stdin, "pipe", "pipe"] });
  const stdout = collect(child, child.stdout);
  const stderr = collect(child, child.stderr);
  // A program that ends before it has read all says why in its exit code.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
    // What it started may hold these open: nobody waits for that.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, timeoutMs);
  const { exitCode, error } = await ending(child);
  clearTimeout(deadline);
  if (error?.code === "ENOENT") throw toolMissing(file, error);
  if (isLate) {
    throw new TsweaveError("TIMED_OUT", `${label(argv)} did not end within ${timeoutMs} ms`);
  }
  const why = error === undefined ? stderr() : messageOf(error);
  const done = { stdout: stdout(), stderr: why, exitCode };
  if (exitCode !== 0 && options.tolerant !== true) throw commandFailed(argv, done);
  return done;
}

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
  const child = start(argv, { stdio: ["ignore", "pipe", "ignore"] });
  child.stdout?.on("data", take);
  const ended = ending(child).then(({ exitCode, signal, error }) => {
    if (error !== undefined) return messageOf(error);
    return signal === null ? `exit code ${exitCode}` : signal;
  });
  return { pid: child.pid, kill: () => void child.kill("SIGKILL"), ended };
}

/** What cannot be started ends with an error, as an event. @throws TsweaveError COMMAND_FAILED */
function start(argv: readonly string[], options: SpawnOptions): ChildProcess {
  const [file = "", ...args] = argv;
  if (argv.some((word) => word.includes("\0"))) {
    throw new TsweaveError("COMMAND_FAILED", `${label(argv)}: a word with a NUL byte`);
  }
  return spawn(file, args, { ...options, env: toolEnv() });
}

interface Ending {
  /** -1 for one that was killed or never ran. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly error: NodeJS.ErrnoException | undefined;
}

/** Resolves when the program is gone and all that it printed was read. */
function ending(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ exitCode: -1, signal: null, error }));
    child.once("close", (exitCode, signal) => {
      resolve({ exitCode: exitCode ?? -1, signal, error: undefined });
    });
  });
}

/** What a program prints. BOUNDED: OUTPUT_CHARS_MAX; who prints more is killed, and so failed. */
function collect(child: ChildProcess, from: NodeJS.ReadableStream | null): () => string {
  let text = "";
  from?.setEncoding("utf8");
  from?.on("data", (piece: string) => {
    text += piece;
    if (text.length > OUTPUT_CHARS_MAX) child.kill("SIGKILL");
  });
  return () => text;
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
