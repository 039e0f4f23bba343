/** Completion for fish 3. */
import {
  argumentSource,
  type Completed,
  optionsOf,
  PEER_NAMES,
  quoted,
  type Source,
  valueSource,
} from "./sources.ts";

export function fishScript(commands: readonly Completed[]): string {
  const lines = commands.flatMap((command) => [
    `complete -c tsweave -n __fish_use_subcommand -a ${command.name}${about(command)}`,
    ...optionLines(command, commands),
    ...argumentLines(command, commands),
  ]);
  return `# fish completion for tsweave, made by 'tsweave completion fish'
complete -c tsweave -f
${lines.join("\n")}
`;
}

function optionLines(command: Completed, all: readonly Completed[]): string[] {
  return optionsOf(command).map((option) => {
    const source = valueSource(option, all);
    const short = option.short === undefined ? "" : ` -s ${option.short}`;
    const only = source?.kind === "files" ? "-r" : "-x";
    const value = source === undefined ? "" : ` ${only}${action(source)}`;
    return `${head(command)} -l ${option.name}${short}${value}${about(option)}`;
  });
}

function argumentLines(command: Completed, all: readonly Completed[]): string[] {
  const source = argumentSource(command, all);
  return source.kind === "nothing" ? [] : [`${head(command)}${action(source)}`];
}

function about({ summary }: { readonly summary: string }): string {
  return ` -d ${quoted(summary, "fish")}`;
}

function head({ name }: Completed): string {
  return `complete -c tsweave -n '__fish_seen_subcommand_from ${name}'`;
}

function action(source: Source): string {
  switch (source.kind) {
    case "words":
      return ` -a ${quoted(source.words.join(" "), "fish")}`;
    case "peers":
      return ` -a ${quoted(`(${PEER_NAMES})`, "fish").replaceAll("'\\''", "\\'")}`;
    case "files":
      return " -F";
    case "directories":
      return " -a '(__fish_complete_directories)'";
    case "nothing":
      return "";
  }
}
