/**
 * Starts the daemon in the background and waits until it serves.
 *
 * Law: when `launch` returns well the peer serves; when it fails, its error is the daemon's own,
 * no process is left, and nothing is left on the disk but a log that explains a crash.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { TsweaveError } from "../mesh/index.ts";
import { refuseSecond } from "./control/control-socket.ts";
import { errorFromBody } from "./control/error-body.ts";
import { type LaunchFiles, openLaunchFiles } from "./launch-files.ts";
import type { LaunchMessage, LaunchSummary } from "./launch-report.ts";
import { HANDED_VARIABLE, type Secret, withoutPassword } from "./password.ts";
import { MessageReader, READY_FD, READY_VARIABLE } from "./ready-pipe.ts";

/** A loaded host with a slow engine needs tens of seconds; more is a hang. */
const READY_DEADLINE_MS = 60_000;
/** A daemon that stops tells its peers and saves what it knows: a second, not more. */
const END_DEADLINE_MS = 5000;

export interface BackgroundLaunch {
  /** Program and arguments of the daemon. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly runDir: string;
  readonly logFile: string;
  /** Handed to the daemon on its standard input. */
  readonly password?: Secret | undefined;
  readonly readyDeadlineMs?: number;
  /** How long it may take to stop by itself before it is killed. */
  readonly endDeadlineMs?: number;
  /** Aborted: the one who waits gave up; the daemon is ended. */
  readonly interrupted: AbortSignal;
  readonly progress: (text: string) => void;
}

type Outcome =
  | { readonly kind: "ready"; readonly summary: LaunchSummary }
  | { readonly kind: "error"; readonly error: TsweaveError }
  | { readonly kind: "ended"; readonly how: string }
  | { readonly kind: "late" }
  | { readonly kind: "interrupted" };

/**
 * Resolves when the daemon serves.
 * @throws TsweaveError ALREADY_RUNNING, TIMED_OUT, or what the daemon reports.
 */
export async function launchInBackground(launch: BackgroundLaunch): Promise<LaunchSummary> {
  await refuseSecond(launch.runDir);
  const files = openLaunchFiles(launch.stateDir, launch.logFile);
  try {
    const child = start(launch, files.logFd);
    const outcome = await outcomeOf(child, launch);
    if (outcome.kind === "ready") {
      detach(child);
      return outcome.summary;
    }
    await end(child, launch.endDeadlineMs ?? END_DEADLINE_MS);
    throw failure(outcome, launch, files);
  } finally {
    files.close();
  }
}

function start({ command, env, password }: BackgroundLaunch, logFd: number): ChildProcess {
  const [program, ...args] = command;
  const handed = password === undefined ? {} : { [HANDED_VARIABLE]: "1" };
  const child = spawn(program, args, {
    detached: true,
    stdio: [password === undefined ? "ignore" : "pipe", logFd, logFd, "pipe"],
    env: { ...withoutPassword(env), ...handed, [READY_VARIABLE]: String(READY_FD) },
  });
  // A daemon that ends before it has read this says why on the pipe or in the log.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(password?.reveal());
  return child;
}

async function outcomeOf(child: ChildProcess, launch: BackgroundLaunch): Promise<Outcome> {
  const settled = new AbortController();
  const deadlineMs = launch.readyDeadlineMs ?? READY_DEADLINE_MS;
  const late = sleep(deadlineMs, undefined, { signal: settled.signal }).then(
    (): Outcome => ({ kind: "late" }),
    (): Outcome => ({ kind: "late" }),
  );
  const interrupted = new Promise<Outcome>((resolve) => {
    const tell = () => resolve({ kind: "interrupted" });
    if (launch.interrupted.aborted) tell();
    launch.interrupted.addEventListener("abort", tell, { signal: settled.signal });
  });
  try {
    return await Promise.race([messageOutcome(child, launch.progress), late, interrupted]);
  } finally {
    settled.abort();
  }
}

/** The daemon's final message, or how it ended without one. */
async function messageOutcome(
  child: ChildProcess,
  progress: (text: string) => void,
): Promise<Outcome> {
  const ended = new Promise<Outcome>((resolve) => {
    child.once("error", (error) => resolve({ kind: "ended", how: error.message }));
    child.once("exit", (code, signal) => {
      resolve({ kind: "ended", how: signal === null ? `exit code ${code}` : signal });
    });
  });
  const said = new Promise<Outcome | undefined>((resolve) => {
    const pipe = pipeOf(child);
    if (pipe === undefined) return resolve(undefined);
    const reader = new MessageReader();
    pipe.setEncoding("utf8");
    pipe.on("data", (text: string) => {
      for (const message of reader.push(text)) {
        if ("progress" in message) progress(message.progress);
        else resolve(finalOutcome(message));
      }
    });
    pipe.once("close", () => resolve(undefined));
    pipe.once("error", () => resolve(undefined));
  });
  // What was said before the end counts, so the pipe is read out first.
  return (await said) ?? (await ended);
}

function finalOutcome(message: Exclude<LaunchMessage, { progress: string }>): Outcome {
  if ("error" in message) return { kind: "error", error: errorFromBody(message.error) };
  return { kind: "ready", summary: message.summary };
}

function pipeOf(child: ChildProcess): Readable | undefined {
  return (child.stdio[READY_FD] ?? undefined) as Readable | undefined;
}

/** The daemon goes on; nothing of it keeps this process. */
function detach(child: ChildProcess): void {
  pipeOf(child)?.destroy();
  child.unref();
}

/** Ends the daemon, kindly first, then whatever it has left in its process group. */
async function end(child: ChildProcess, deadlineMs: number): Promise<void> {
  const { pid } = child;
  if (pid !== undefined) {
    const running = () => child.exitCode === null && child.signalCode === null;
    if (running()) {
      const gone = once(child, "exit");
      signalGroup(pid, "SIGTERM");
      await Promise.race([gone, sleep(deadlineMs, undefined, { ref: false })]);
    }
    const gone = running() ? once(child, "exit") : undefined;
    signalGroup(pid, "SIGKILL");
    await gone;
  }
  detach(child);
}

function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function failure(
  outcome: Exclude<Outcome, { kind: "ready" }>,
  { logFile, readyDeadlineMs = READY_DEADLINE_MS }: BackgroundLaunch,
  files: LaunchFiles,
): TsweaveError {
  const words = files.lastWords();
  const hint = `see ${logFile}`;
  switch (outcome.kind) {
    case "error": {
      // Another daemon may be using the very files that this launch found missing.
      if (outcome.error.code !== "ALREADY_RUNNING") files.remove();
      return outcome.error;
    }
    case "interrupted":
      files.remove();
      return new TsweaveError("COMMAND_FAILED", "interrupted; the daemon was ended again");
    case "late": {
      const text = `the daemon did not serve within ${readyDeadlineMs / 1000} s and was ended`;
      return new TsweaveError("TIMED_OUT", text, { hint });
    }
    case "ended": {
      const last = words === undefined ? "" : `: ${words}`;
      const text = `the daemon ended before it served (${outcome.how})${last}`;
      return new TsweaveError("INTERNAL", text, { hint });
    }
  }
}
