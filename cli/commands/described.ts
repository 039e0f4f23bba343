/** The whole command table, loaded: what completion and the man page are made from. */
import type { Command, CommandEntry } from "../command.ts";

/** A command with its name and its one line. */
export type Described = Command & Pick<CommandEntry, "name" | "summary">;

/** Every command, in the order of help. */
export async function describedCommands(
  entries: readonly CommandEntry[],
): Promise<readonly Described[]> {
  return await Promise.all(
    entries.map(async ({ name, summary, load }) => ({ name, summary, ...(await load()) })),
  );
}
