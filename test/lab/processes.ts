/**
 * The processes that keep namespaces open, known by pid AND start time, so that a reused pid is
 * never killed. Keeps the law: only processes the lab started are ended, each by its own pid.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { until } from "./exec.ts";

/** Start time of a live process, in ticks since boot (proc(5), field 22); undefined if gone. */
export function processStart(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  return state === "Z" || state === "X" ? undefined : fields[19];
}

/** The pid in a holder file if that very process is still alive. */
export function holderPid(file: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const [pid = "", start, bootId] = text.trim().split(" ");
  const thisBoot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  if (bootId !== thisBoot || processStart(Number(pid)) !== start) return undefined;
  return Number(pid);
}

/** The same, throwing when the process is gone. */
export function requireHolder(file: string): number {
  const pid = holderPid(file);
  if (pid === undefined) throw new Error(`the process recorded in ${file} is not running`);
  return pid;
}

/** The shell writes itself into the holder file before it becomes the command that it keeps. */
const RECORD_AND_EXEC = `
record() {
  read -r stat < /proc/self/stat
  file=$1; set -- \${stat##*) }; shift 19
  read -r boot < /proc/sys/kernel/random/boot_id
  echo "$$ $1 $boot" > "$file"
}
record "$1" && shift && exec "$@"`;

/**
 * Starts a detached process that outlives this one, recorded in `file` before it does anything.
 * Resolves when it prints "ready"; throws with its log if it exits first or stays silent for 15 s.
 */
export async function startHolder(
  file: string,
  log: string,
  argv: readonly string[],
): Promise<void> {
  const logFd = openSync(log, "a");
  const child = spawn("sh", ["-c", RECORD_AND_EXEC, "sh", file, ...argv], {
    detached: true,
    cwd: "/",
    stdio: ["ignore", "pipe", logFd],
  });
  closeSync(logFd);
  let printed = "";
  let exited = false;
  child.stdout?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.once("exit", () => {
    exited = true;
  });
  child.once("error", () => {
    exited = true;
  });
  await until(
    `${argv.slice(0, 3).join(" ")} to be ready, see ${log}`,
    () => {
      if (exited) throw new Error(`${argv.join(" ")} exited\n${readFileSync(log, "utf8")}`);
      return printed.includes("ready\n");
    },
    { timeoutMs: 15_000, everyMs: 5 },
  );
  child.stdout?.destroy();
  child.unref();
}

/** Kills the recorded process, waits until it is gone, forgets the record. Idempotent. */
export async function stopHolder(file: string): Promise<void> {
  const pid = holderPid(file);
  if (pid !== undefined) await killAndWait(pid);
  rmSync(file, { force: true });
}

/** SIGKILL to one process, then waits until it is gone (or a zombie of somebody else). */
async function killAndWait(pid: number): Promise<void> {
  const start = processStart(pid);
  if (start === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
  await until(`process ${pid} to die`, () => processStart(pid) !== start, { everyMs: 5 });
}
