/**
 * Command-line arguments against a command's option table, with errors that name the argument.
 *
 * Law: nothing is ignored. Unknown options, options given twice, missing or surplus values and
 * surplus arguments are all refused.
 */
import { parseArgs } from "node:util";
import { TsweaveError } from "../mesh/index.ts";
import type { Command, CommandInput } from "./command.ts";
import { suggest } from "./suggestion.ts";

type Parsed = Pick<CommandInput, "options" | "positionals">;

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** Whether help was asked for; what follows `--` does not count. */
export function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  return own.includes("--help") || own.includes("-h");
}

/** @throws TsweaveError USAGE. */
export function parseArguments(name: string, command: Command, argv: readonly string[]): Parsed {
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      command.options.map(({ name, value, short }) => [
        name,
        {
          type: value === undefined ? ("boolean" as const) : ("string" as const),
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
    strict: false,
    tokens: true,
  });
  const options: Record<string, string | true> = Object.create(null);
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const value = checkedValue(name, command, token);
    const before = options[token.name];
    const repeats = command.options.some((one) => one.name === token.name && one.repeats);
    if (before !== undefined && !repeats) {
      throw usage(name, `option '${token.rawName}' is given twice`);
    }
    options[token.name] = before === undefined ? value : `${before},${value}`;
  }
  const surplus = positionals[command.positionalsMax];
  if (surplus !== undefined) throw usage(name, `${name} does not take the argument '${surplus}'`);
  return { options, positionals };
}

function checkedValue(name: string, command: Command, token: OptionToken): string | true {
  const option = command.options.find((candidate) => candidate.name === token.name);
  const isSpelled = token.rawName.startsWith("--") || token.rawName === `-${option?.short}`;
  if (option === undefined || !isSpelled) {
    const known = command.options.map((candidate) => `--${candidate.name}`);
    const text = `${name} has no option '${token.rawName}'`;
    const hint = suggest(token.rawName, known, `see 'tsweave help ${name}'`);
    throw new TsweaveError("USAGE", text, { hint });
  }
  const { value, inlineValue } = token;
  if (option.value === undefined) {
    if (value === undefined) return true;
    throw usage(name, `option '${token.rawName}' takes no value`);
  }
  const isNextOption = inlineValue !== true && value?.startsWith("-") === true && value !== "-";
  if (value === undefined || value === "" || isNextOption) {
    throw usage(name, `option '${token.rawName}' needs a value (${option.value})`);
  }
  return value;
}

function usage(name: string, text: string): TsweaveError {
  return new TsweaveError("USAGE", text, { hint: `see 'tsweave help ${name}'` });
}
