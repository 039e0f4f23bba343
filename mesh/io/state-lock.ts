/**
 * One daemon per state directory, enforced by an abstract unix socket named after the directory.
 *
 * Law: crash-only. The kernel drops the socket with the process, however it ends, so there is no
 * stale lock to clean and no pid to guess about. Abstract names live in the network namespace,
 * which is the host's, so daemons of two hosts never block one another.
 */
import { realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { TsweaveError } from "../errors.ts";

/** Holds the lock until the returned function is called or the process ends. */
export async function lockState(directory: string): Promise<() => Promise<void>> {
  const path = await realpath(directory);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") return reject(error);
      return reject(
        new TsweaveError("ALREADY_RUNNING", `another tsweave daemon uses ${path}`, {
          hint: "see 'tsweave status', or give this one its own --state-dir and --run-dir",
        }),
      );
    });
    server.listen(`\0tsweave-state:${path}`, resolve);
  });
  return async () => {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}
