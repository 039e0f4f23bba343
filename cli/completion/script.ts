/**
 * Completion scripts for shells. Pure: the command table in, text out.
 *
 * Law: everything that is parsed can be completed and nothing else is offered; a script is static
 * but for the names of peers, which `tsweave status` tells.
 */
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import type { Completed } from "./sources.ts";
import { zshScript } from "./zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export function completionScript(
  shell: keyof typeof SCRIPTS,
  commands: readonly Completed[],
): string {
  return SCRIPTS[shell](commands);
}
