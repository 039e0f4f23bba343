/** What `--engine` names: a membership engine, with `+key` on an encrypted mesh. */
import { Secret } from "../../../cli/password.ts";
import type { EngineName } from "../../../mesh/index.ts";

export const KEYED = "+key";
/** Of a mesh that ends with the bench. */
export const PASSWORD = "a password of the bench alone";

export const ENGINE_NAMES = ["swim", "native", `swim${KEYED}`, `native${KEYED}`] as const;

export function engineOf(name: string): EngineName {
  return name.startsWith("native") ? "native" : "swim";
}

export function isKeyed(name: string): boolean {
  return name.endsWith(KEYED);
}

export function passwordOf(name: string): Secret | undefined {
  return isKeyed(name) ? new Secret(PASSWORD) : undefined;
}
