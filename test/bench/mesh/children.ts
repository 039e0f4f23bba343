/** Processes of the bench's peers. Law: none outlives the bench, however the bench ends. */
import { type ChildProcess, spawn } from "node:child_process";

/** BOUNDED: the peers of one run. */
const children = new Set<ChildProcess>();

/** Starts a process that the kernel kills when this one dies (PR_SET_PDEATHSIG). */
export function startChild(
  argv: readonly string[],
  options: { readonly ipc: boolean; readonly env?: Readonly<Record<string, string>> },
) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], {
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
