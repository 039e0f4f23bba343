/** Commands that work on the host itself say at once that they need root. */
import { TsweaveError } from "../../mesh/index.ts";

/** `what` it does, as in "launch programs the kernel's network". @throws TsweaveError NOT_ROOT */
export function requireRoot(command: string, what: string): void {
  if (process.geteuid?.() === 0) return;
  throw new TsweaveError("NOT_ROOT", `${command} ${what} and needs root`, {
    hint: `use 'sudo tsweave ${command}'`,
  });
}
