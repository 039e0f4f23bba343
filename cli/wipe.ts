/**
 * Removal of what tsweave keeps on a host: its state directory's files, namespaces and devices.
 *
 * Laws: only what has tsweave's own names is removed, and only while no daemon runs. Without a
 * person's word nothing goes that a container still uses.
 */
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { TsweaveError } from "../mesh/index.ts";
import { usedNamespaces, wipeKernel } from "../overlay/index.ts";

/** What the daemon writes: snapshots and journals, what moved aside of them, and its log. */
const OWN_FILE = /^([a-z0-9-]+\.(snapshot|journal)(\.[a-z0-9.-]+)?|tsweave\.log)$/;

/** In /proc/net/unix, the lock of a running daemon (mesh/io/state-lock.ts). */
const HELD_STATE = /@tsweave-state:(\S+)/g;

/**
 * Removes everything; resolves with what was there, in words.
 * @throws TsweaveError ALREADY_RUNNING while a daemon runs on this host
 */
export async function wipeState(stateDir: string): Promise<string[]> {
  await refuseRunning();
  return [...(await wipeKernel()), ...(await wipeFiles(stateDir))];
}

/**
 * Removes what is in the kernel unless something is plugged into a network there; resolves with
 * what was there, and with the namespaces in use for which all is left.
 * @throws TsweaveError ALREADY_RUNNING while a daemon runs on this host
 */
export async function wipeIdle(): Promise<{ removed: string[]; used: string[] }> {
  await refuseRunning();
  const used = await usedNamespaces();
  return { removed: used.length === 0 ? await wipeKernel() : [], used };
}

async function refuseRunning(): Promise<void> {
  const [held] = (await readFile("/proc/net/unix", "utf8")).matchAll(HELD_STATE);
  if (held === undefined) return;
  throw new TsweaveError("ALREADY_RUNNING", `a tsweave daemon runs on ${held[1]}`, {
    hint: "stop it first, with the --run-dir it was launched with",
  });
}

async function wipeFiles(stateDir: string): Promise<string[]> {
  const names = await readdir(stateDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new TsweaveError("STATE_UNWRITABLE", `${stateDir} cannot be read: ${error.message}`);
  });
  if (names === undefined) return [];
  const own = names.filter((name) => OWN_FILE.test(name));
  for (const name of own) await rm(join(stateDir, name));
  if (own.length === names.length) {
    await rmdir(stateDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EBUSY") throw error; // A mount point: empty is all it can be.
    });
  }
  return own.length === 0 ? [] : [`${own.length} files in ${stateDir}`];
}
