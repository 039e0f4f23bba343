/**
 * From arguments to a command and its exit code.
 *
 * Law: light. Only the chosen command is imported, so that a read command starts in a fraction of
 * a second.
 */
import { asTsweaveError, EXIT, TsweaveError } from "../mesh/index.ts";
import { asksForHelp, parseArguments } from "./arguments.ts";
import type { CommandEntry, CommandInput } from "./command.ts";
import { describedCommands } from "./commands/described.ts";
import { help as helpCommand } from "./commands/help.ts";
import { COMMANDS } from "./commands/table.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { suggest } from "./suggestion.ts";

export type Surroundings = Omit<CommandInput, "options" | "positionals" | "argv" | "commands">;

/** Runs `tsweave ...argv`; errors become one line on stderr and their exit code. */
export async function dispatch(argv: readonly string[], around: Surroundings): Promise<number> {
  try {
    return await chooseAndRun(argv, around);
  } catch (error) {
    const expected = asTsweaveError(error);
    around.note(`tsweave: ${expected.line.replace(/\s*\n\s*/g, " ")}\n`);
    if (around.env.TSWEAVE_DEBUG === "1") around.note(`${expected.stack}\n`);
    return expected.exitCode;
  }
}

async function chooseAndRun(argv: readonly string[], around: Surroundings): Promise<number> {
  const [first = "help", ...rest] = argv;
  if (first === "help" || first === "--help" || first === "-h") return await help(rest, around);
  const entry = entryOf(first === "--version" ? "version" : first);
  const command = await entry.load();
  if (asksForHelp(rest)) {
    around.write(commandHelp(entry, command));
    return EXIT.ok;
  }
  const parsed = parseArguments(entry.name, command, rest);
  return await command.run({ ...around, ...parsed, argv: rest, commands: COMMANDS });
}

async function help(names: readonly string[], around: Surroundings): Promise<number> {
  const words = names.filter((word) => word !== "--help" && word !== "-h");
  const { options, positionals } = parseArguments("help", helpCommand, words);
  const [name] = positionals;
  if (options.man === true) {
    if (name !== undefined) {
      const hint = "it is one page with all commands";
      throw new TsweaveError("USAGE", `help --man does not take the argument '${name}'`, { hint });
    }
    const { manPage } = await import("./packaging/man-page.ts");
    around.write(manPage(await describedCommands(COMMANDS)));
    return EXIT.ok;
  }
  if (name === undefined || name === "help") {
    around.write(generalHelp(COMMANDS));
    return EXIT.ok;
  }
  const entry = entryOf(name);
  around.write(commandHelp(entry, await entry.load()));
  return EXIT.ok;
}

function entryOf(name: string): CommandEntry {
  const entry = COMMANDS.find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  const what = name.startsWith("-") ? "option" : "command";
  const known = COMMANDS.map((candidate) => candidate.name);
  throw new TsweaveError("USAGE", `no ${what} '${name.slice(0, 64)}'`, {
    hint: suggest(name, known, "see 'tsweave help'"),
  });
}
