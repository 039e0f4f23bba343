/** Help made from the command table, so that it cannot say other than what is parsed. */
import type { Command, CommandEntry, Option } from "./command.ts";

export const EXIT_CODES = [
  "  0 ok              1 failed       2 usage or configuration   3 daemon not running",
  "  4 degraded        5 not found    6 timed out",
].join("\n");

/** `tsweave help`. */
export function generalHelp(entries: readonly CommandEntry[]): string {
  const width = Math.max(...entries.map(({ name }) => name.length));
  const rows = entries.map(({ name, summary }) => `  ${name.padEnd(width)} ${summary}`);
  return [
    "tsweave: one flat network and names for the containers of many Docker hosts",
    "",
    "Usage: tsweave COMMAND [options]",
    "",
    "Commands:",
    ...rows,
    "",
    "'tsweave help COMMAND' shows its options and examples.",
    "",
    "Exit codes:",
    EXIT_CODES,
    "",
  ].join("\n");
}

/** `tsweave help COMMAND`. */
export function commandHelp(entry: CommandEntry, command: Command): string {
  const help: Option = { name: "help", summary: "show this text" };
  return [
    `tsweave ${entry.name}: ${entry.summary}`,
    "",
    `Usage: tsweave ${entry.name} ${command.usage}`.trimEnd(),
    "",
    ...(command.notes.length === 0 ? [] : [...command.notes, ""]),
    "Options:",
    ...[...command.options, help].map(optionLine),
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
    "",
    "Exit codes:",
    EXIT_CODES,
    "",
  ].join("\n");
}

function optionLine(option: Option): string {
  const { summary, default: preset } = option;
  const flag = optionUsage(option);
  const said = preset === undefined ? "" : ` (default ${preset})`;
  return `  ${flag.padEnd(24)} ${summary}${said}`;
}

/** How an option is written: `--name NAME`; `--follow, -f`. */
export function optionUsage({ name, short, value }: Option): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? long : `${long}, -${short}`;
}
