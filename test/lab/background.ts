/**
 * A command that keeps running inside a host: its number there, its output so far, its end.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { run, until } from "./exec.ts";

/** The shell tells its number inside the host on descriptor 3 and becomes the command. */
const TELL_AND_EXEC = 'echo $$ >&3; exec 3>&-; exec "$@"';

/**
 * Starts `argv` behind the prefix `enter`. Resolves once it runs; throws if it cannot be started.
 * BOUNDED: the output is kept whole, by the life of a test.
 */
export async function startBackground(
  enter: readonly string[],
  argv: readonly string[],
  env: Record<string, string>,
): Promise<Background> {
  const [command = "", ...args] = [...enter, "sh", "-c", TELL_AND_EXEC, "sh", ...argv];
  const child = spawn(command, args, {
    detached: true,
    env,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let told = "";
  child.stdio[3]?.on("data", (chunk: Buffer) => {
    told += chunk.toString();
  });
  let failed: Error | undefined;
  child.once("error", (error) => {
    failed = error;
  });
  const background = new Background(child, enter, () => Number(told));
  await until(`${argv[0]} to start`, () => {
    if (failed !== undefined) throw failed;
    if (background.exitCode !== undefined) throw new Error(`${argv[0]}: ${background.output}`);
    return told.endsWith("\n");
  });
  return background;
}

export class Background {
  /** stdout and stderr so far, in the order they came. */
  output = "";
  /** undefined while it runs, null when a signal ended it. */
  exitCode: number | null | undefined;
  readonly #enter: readonly string[];
  readonly #pid: () => number;

  constructor(child: ChildProcess, enter: readonly string[], pid: () => number) {
    this.#enter = enter;
    this.#pid = pid;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    child.once("close", (code) => {
      this.exitCode = code;
    });
  }

  /** Process number inside the host. */
  get pid(): number {
    return this.#pid();
  }

  /** Lines of output so far, without the last, unfinished one. */
  get lines(): string[] {
    return this.output.split("\n").slice(0, -1);
  }

  /** Resolves when the output matches. */
  async waitForOutput(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    const check = () => {
      if (pattern.test(this.output)) return true;
      if (this.exitCode !== undefined) throw new Error(`ended without ${pattern}: ${this.output}`);
      return false;
    };
    await until(`output ${pattern}`, check, { timeoutMs });
  }

  /** Resolves with the exit code. */
  async wait(timeoutMs = 60_000): Promise<number | null> {
    await until(`process ${this.pid} to end`, () => this.exitCode !== undefined, { timeoutMs });
    return this.exitCode ?? null;
  }

  /** Sends a signal to the process (to it alone). One that already ended is fine. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.exitCode !== undefined) return;
    const flag = `-${signal.slice("SIG".length)}`;
    // The shell's own: a bare Debian has no kill to execute.
    const kill = ["sh", "-c", `kill ${flag} ${this.pid}`];
    await run([...this.#enter, ...kill], { allowFailure: true });
  }

  /** Ends it (SIGINT, so that tcpdump and ping print their sums) and gives all lines. */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<string[]> {
    await this.kill(signal);
    await this.wait();
    return this.lines;
  }
}
