/** Asking before something that cannot be taken back. */
import { TsweaveError } from "../../mesh/index.ts";
import type { CommandInput, Option } from "../command.ts";

export const YES_OPTION: Option = { name: "yes", summary: "do not ask" };

/**
 * Returns when `--yes` was given or a person agreed to `question`.
 * @throws TsweaveError USAGE when nobody can be asked, CANCELLED when the answer is no
 */
export async function consent(input: CommandInput, question: string): Promise<void> {
  if (input.options.yes === true) return;
  if (input.confirm === undefined) {
    throw new TsweaveError("USAGE", "this cannot be taken back, and nobody can be asked", {
      hint: "add --yes",
    });
  }
  if (await input.confirm(question)) return;
  throw new TsweaveError("CANCELLED", "nothing was changed");
}
