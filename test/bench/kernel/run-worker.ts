/** Runs a bench's worker, a process of its own, and removes what an interrupted one leaves. */
import { fork } from "node:child_process";
import { run } from "../../lab/exec.ts";
import type { Cleanup } from "../lib/cleanup.ts";

/** Starts a bundle with `options` as its argument; resolves with the one message it sends. */
export async function runWorker<T>(worker: string, options: object, cleanup: Cleanup): Promise<T> {
  const child = fork(worker, [JSON.stringify(options)], { stdio: "inherit" });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  cleanup.add("the worker", async () => {
    child.kill("SIGKILL");
    await gone;
  });
  const measured = await new Promise<T>((resolve, reject) => {
    child.once("message", (message) => resolve(message as T));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the worker ended (${code})`)));
  });
  await gone;
  return measured;
}

/** A tag of this process for the names of what its workers make. */
export function ownTag(letter: string): string {
  return `${letter}${(process.pid % 46_656).toString(36)}`;
}

/** The namespaces of a worker or of the floor that were left by an interruption. */
export async function removeNamespaces(tag: string): Promise<void> {
  const own = new RegExp(`^(tw${tag}-\\w+|tsweave-\\d${tag}0*)$`);
  const { stdout } = await run(["ip", "netns", "list"]);
  for (const line of stdout.split("\n")) {
    const name = line.split(" ")[0] ?? "";
    if (own.test(name)) await run(["ip", "netns", "del", name], { allowFailure: true });
  }
}
