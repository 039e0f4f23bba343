/** Completion for bash 4 and later, without the bash-completion package. */
import {
  argumentSource,
  type Completed,
  optionsOf,
  PEER_NAMES,
  type Source,
  valueSource,
} from "./sources.ts";

export function bashScript(commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return `# bash completion for tsweave, made by 'tsweave completion bash'
_tsweave() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=2 count=0
  COMPREPLY=()
  # --option=value comes as three words.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${names} --help --version" -- "$cur"))
    return
  fi
  while ((at < COMP_CWORD)); do
    [[ \${COMP_WORDS[at]} == -* ]] || ((count++))
    ((at++))
  done
  case "\${COMP_WORDS[1]} $prev" in
${commands.flatMap((command) => valueCases(command, commands)).join("\n")}
  esac
  case "\${COMP_WORDS[1]}" in
${commands.map((command) => commandCase(command, commands)).join("\n")}
  esac
}
complete -F _tsweave tsweave
`;
}

function valueCases(command: Completed, all: readonly Completed[]): string[] {
  return optionsOf(command).flatMap((option) => {
    const source = valueSource(option, all);
    if (source === undefined) return [];
    const spelled = option.short === undefined ? [] : [`"${command.name} -${option.short}"`];
    const pattern = [`"${command.name} --${option.name}"`, ...spelled].join(" | ");
    return [`    ${pattern}) ${generate(source)}return ;;`];
  });
}

function commandCase(command: Completed, all: readonly Completed[]): string {
  const options = optionsOf(command).map(({ name }) => `--${name}`);
  const source = argumentSource(command, all);
  const words = generate(source).replace(/; $/, "");
  // Values of options are counted as arguments here, so only the very first word is sure.
  const guarded = source.kind === "peers" ? words : words && `((count > 0)) || ${words}`;
  const rest = words === "" ? "" : `\n      else ${guarded}`;
  return `    ${command.name})
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${options.join(" ")}" -- "$cur"))${rest}
      fi ;;`;
}

function generate(source: Source): string {
  const reply = (by: string): string => `COMPREPLY=($(compgen ${by} -- "$cur")); `;
  switch (source.kind) {
    case "words":
      return reply(`-W "${source.words.join(" ")}"`);
    case "peers":
      return reply(`-W "$(${PEER_NAMES})"`);
    case "files":
      return reply("-f");
    case "directories":
      return reply("-d");
    case "nothing":
      return "";
  }
}
