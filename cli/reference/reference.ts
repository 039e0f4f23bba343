/**
 * cli/REFERENCE.md: every command with every option, every code, every metric. Pure: the tables
 * that the program itself uses in, Markdown out, so that the reference cannot say other than what
 * is parsed and exported.
 */
import type { Command, Option } from "../command.ts";
import type { Described } from "../commands/described.ts";
import { CAUSES } from "../explain/step.ts";
import type { Family } from "../web/exposition.ts";
import { CAUSE_REFERENCE } from "./causes.ts";
import { ERROR_REFERENCE } from "./errors.ts";
import { PROBLEM_REFERENCE } from "./problems.ts";

export interface ReferenceFacts {
  readonly commands: readonly Described[];
  /** Each with a sample, for its labels. */
  readonly metrics: readonly Family[];
  /** The process exit code of each error code. */
  readonly exitCodeOf: (code: string) => number;
}

/** The whole page. */
export function reference(facts: ReferenceFacts): string {
  const parts = [
    "# Reference",
    "",
    "Written by `npm run docs` from the tables that the program uses; edit those. What things mean",
    "together is in [README.md](README.md).",
    "",
    "## Commands",
    ...facts.commands.flatMap(commandPart),
    "## Error codes",
    "",
    "In logs, in control replies, at the head of `tsweave help CODE`.",
    "",
    ...table(
      ["code", "exit", "what it means", "what helps"],
      Object.entries(ERROR_REFERENCE).map(([code, { meaning, cure }]) => [
        ...[`\`${code}\``, String(facts.exitCodeOf(code)), meaning, cure],
      ]),
    ),
    "## Health problems",
    "",
    "Under `Health:` in `tsweave status`, in events and in `tsweave_health_problems`. Error codes",
    "appear there, too.",
    "",
    ...table(
      ["code", "what it means", "what helps"],
      Object.entries(PROBLEM_REFERENCE).map(([code, { meaning, cure }]) => [
        ...[`\`${code}\``, meaning, cure],
      ]),
    ),
    "## Causes that `explain` names",
    "",
    ...table(
      ["code", "step", "what it means"],
      Object.entries(CAUSE_REFERENCE).map(([code, meaning]) => [
        ...[`\`${code}\``, CAUSES[code as keyof typeof CAUSES], meaning],
      ]),
    ),
    "## Metrics",
    "",
    ...table(
      ["family", "type", "labels", "meaning"],
      facts.metrics.map((family) => [
        `\`${family.name}\``,
        family.type,
        labelsOf(family),
        family.help,
      ]),
    ),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

function commandPart(command: Described): string[] {
  const { name, usage, summary, notes, options, examples } = command;
  return [
    "",
    `### \`${`tsweave ${name} ${usage}`.trimEnd()}\``,
    "",
    [`${summary[0]?.toUpperCase()}${summary.slice(1)}.`, ...notes].join(" "),
    "",
    ...(options.length === 0
      ? []
      : table(["option", "default", "meaning"], options.map(optionRow))),
    ...examplesPart(examples),
  ];
}

function examplesPart(examples: Command["examples"]): string[] {
  return ["```sh", ...examples, "```", ""];
}

function optionRow({ name, short, value, repeats, summary, default: preset = "" }: Option) {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  const both = short === undefined ? `\`${long}\`` : `\`${long}\`, \`-${short}\``;
  return [both, preset, repeats === true ? `${summary}; may be repeated` : summary];
}

function labelsOf({ samples }: Family): string {
  const names = new Set(samples.flatMap(({ labels = {} }) => Object.keys(labels)));
  return [...names].map((name) => `\`${name}\``).join(", ");
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(titles), line(titles.map(() => "---")), ...rows.map(line), ""];
}
