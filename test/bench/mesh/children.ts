/**
 * Processes of the bench's peers. Law: none outlives the bench, however the bench ends. What they
 * say is heard at once, also while they keep every core busy: this process goes before them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setPriority } from "node:os";

/** How much nicer than this process its children are, who run as anybody does. */
const NICER = 10;

/** Lets this process go before the children it will start. */
export function goFirst(): void {
  setPriority(0, -NICER);
}

/** BOUNDED: the peers of one run. */
const children = new Set<ChildProcess>();

/** Starts a process that the kernel kills with this one (PR_SET_PDEATHSIG); after `goFirst`. */
export function startChild(
  argv: readonly string[],
  options: { readonly ipc: boolean; readonly env?: Readonly<Record<string, string>> },
) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "nice", "-n", String(NICER), ...argv], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe", ...(options.ipc ? (["ipc"] as const) : [])],
  });
  children.add(child);
  const gone = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  }).then(() => {
    children.delete(child);
  });
  return { child, gone };
}

/** Calls `receive` for each whole line of a stream. */
export function onLines(stream: NodeJS.ReadableStream | null, receive: (line: string) => void) {
  let rest = "";
  stream?.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) receive(line);
  });
}
