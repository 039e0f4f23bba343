/**
 * Containers' network namespaces as paths: is one there, when does it appear, and back to Docker's
 * resolver in it.
 */
import { execFile } from "node:child_process";
import { type FSWatcher, watch } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { type Cancel, type Clock, messageOf, TIMES, TsweaveError } from "../../mesh/index.ts";
import { REMOVE_TABLE, TABLE, toolEnvironment } from "./rules.ts";

/** Magic of the file system that namespaces are files of, linux/magic.h. */
const NSFS = 0x6e73_6673;

/** A mount raises no event, only the file it covers does, so polling goes on beside watching. */
const POLL_MS = 10;

const run = promisify(execFile);

/** Whether `key` is a mounted namespace: engines create the file first and mount over it after. */
export async function isSandbox(key: string): Promise<boolean> {
  try {
    return (await statfs(key)).type === NSFS;
  } catch {
    return false; // Absent or unreadable: not a namespace we could enter.
  }
}

/** The error for a key that is no namespace (any more). */
export function noSandbox(key: string): TsweaveError {
  return new TsweaveError("NOT_FOUND", `${key} is not a network namespace`, {
    hint: "the container has stopped, or the engine runs in another mount namespace",
  });
}

/**
 * Resolves as soon as `key` is a mounted namespace, which engines 20.10 to 27 bring about only
 * after Join has replied. Rejects with TIMED_OUT after `deadlineMs` from now.
 */
export async function waitForSandbox(key: string, deadlineMs: number, clock: Clock): Promise<void> {
  const endMs = clock.nowMs() + deadlineMs;
  let wake = () => {};
  const watcher = watchFolder(dirname(key), () => wake());
  try {
    while (!(await isSandbox(key))) {
      if (clock.nowMs() >= endMs) {
        throw new TsweaveError("TIMED_OUT", `${key} did not appear within ${deadlineMs} ms`);
      }
      let cancel: Cancel = () => {};
      await new Promise<void>((resolve) => {
        wake = resolve;
        cancel = clock.timer("dns-sandbox-poll", POLL_MS, resolve);
      });
      cancel();
    }
  } finally {
    watcher?.close();
  }
}

/** Removes the redirect; a sandbox that is gone or has none is no error. */
export async function restoreSandbox(key: string, timeoutMs = TIMES.dnsRestoreMs): Promise<void> {
  if (!(await isSandbox(key))) return;
  try {
    await run("nsenter", [`--net=${key}`, "nft", REMOVE_TABLE], {
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      env: toolEnvironment(),
    });
  } catch (error) {
    if (!(await isSandbox(key))) return;
    throw new TsweaveError("COMMAND_FAILED", `${key}: ${messageOf(error)}`, {
      cause: error,
      hint: `nsenter --net=${key} nft delete table ip tsweave_dns`,
    });
  }
}

/** Whether the redirect is in place; only nft's own word that there is none says no. */
export async function hasRedirect(key: string, timeoutMs = TIMES.dnsRestoreMs): Promise<boolean> {
  const list = ["nft", "list", "table", ...TABLE.split(" ")];
  try {
    await run("nsenter", [`--net=${key}`, ...list], {
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      env: toolEnvironment(),
    });
    return true;
  } catch (error) {
    const isAbsent = /No such file or directory/.test((error as { stderr?: string }).stderr ?? "");
    return !(isAbsent && (await isSandbox(key)));
  }
}

/** The folder may not be there before the engine's first container; then polling finds it. */
function watchFolder(folder: string, notify: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, notify).on("error", notify);
  } catch {
    return undefined; // Polling alone is only slower.
  }
}
