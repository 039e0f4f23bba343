/**
 * The control socket as a file: where it is, whether somebody listens, and how it is put in place.
 *
 * Law: crash-only. A socket that nobody listens on is stale and is replaced; one that answers is
 * never touched. It is root's alone from the moment it exists.
 */
import { chmod, lstat, mkdir, rename, rm, rmdir } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import { messageOf, TsweaveError } from "../../mesh/index.ts";

const FILE = "control.sock";

export function controlPath(runDir: string): string {
  return join(runDir, FILE);
}

/** Whether a daemon listens in this run directory. */
async function isLive(runDir: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = connect(controlPath(runDir));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR"].includes(error.code ?? "")) {
        return resolve(false);
      }
      // A full backlog is a listener that is busy.
      if (error.code === "EAGAIN") return resolve(true);
      return reject(error);
    });
  });
}

/** @throws TsweaveError ALREADY_RUNNING when a daemon listens in this run directory. */
export async function refuseSecond(runDir: string): Promise<void> {
  if (!(await isLive(runDir))) return;
  throw new TsweaveError("ALREADY_RUNNING", `a tsweave daemon already runs on ${runDir}`, {
    hint: "see 'tsweave status', or 'tsweave stop' it first",
  });
}

/**
 * Makes `server` listen on the control path, replacing a stale socket in one step.
 * Returns the undo, which removes only what was put there.
 * @throws TsweaveError ALREADY_RUNNING, STATE_UNWRITABLE.
 */
export async function listenOn(server: Server, runDir: string): Promise<() => Promise<void>> {
  const made = await makeRunDir(runDir);
  await refuseSecond(runDir);
  const path = controlPath(runDir);
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // Binding happens inside listen(), so the mask covers exactly the new file.
    const mask = process.umask(0o177);
    try {
      server.listen(temporary, resolve);
    } finally {
      process.umask(mask);
    }
  });
  await chmod(temporary, 0o600);
  const { ino } = await lstat(temporary);
  await rename(temporary, path);
  return async () => {
    const present = await lstat(path).catch(() => undefined);
    if (present?.ino === ino) await rm(path, { force: true });
    if (made) await removeIfEmpty(runDir);
  };
}

async function makeRunDir(runDir: string): Promise<boolean> {
  try {
    return (await mkdir(runDir, { recursive: true, mode: 0o700 })) !== undefined;
  } catch (error) {
    throw new TsweaveError("STATE_UNWRITABLE", `cannot make ${runDir}: ${messageOf(error)}`, {
      hint: "choose another --run-dir",
      cause: error,
    });
  }
}

async function removeIfEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "ENOENT" && error.code !== "EBUSY")
      throw error;
  });
}
