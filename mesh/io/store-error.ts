/** What a person is told when a file of the state cannot be written: which, why, what helps. */
import { dirname } from "node:path";
import { messageOf, TsweaveError } from "../errors.ts";

const FULL = ["has no space left", "free some (df -h, df -i), then launch again"] as const;
const BARRED = ["may not be written", "check its owner and mode, or choose another --state-dir"];
/** By the kernel's name of the error. */
const CAUSES: Readonly<Record<string, readonly string[]>> = {
  ENOSPC: FULL,
  EDQUOT: ["is over its quota", FULL[1]],
  EROFS: ["is on a read-only file system", "remount it, or choose another --state-dir"],
  EACCES: BARRED,
  EPERM: BARRED,
};

/** The error of a write to `path` in the state directory; one that is already told stays. */
export function storeError(path: string, error: unknown): TsweaveError {
  if (error instanceof TsweaveError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const [state, hint] = CAUSES[code ?? ""] ?? [];
  const where = dirname(path);
  const text = state === undefined ? messageOf(error) : `${where} ${state} (${code})`;
  return new TsweaveError("STATE_UNWRITABLE", `cannot write ${path}: ${text}`, {
    hint: hint ?? `check ${where} and its disk, or choose another --state-dir`,
    cause: error,
  });
}
