/** Completion for zsh, by _arguments. */
import {
  argumentSource,
  type Completed,
  optionsOf,
  PEER_NAMES,
  quoted,
  type Source,
  valueSource,
} from "./sources.ts";

export function zshScript(commands: readonly Completed[]): string {
  const rows = commands.map(
    ({ name, summary }) => `    ${quoted(`${plain(name)}:${summary}`, "zsh")}`,
  );
  return `#compdef tsweave
# zsh completion for tsweave, made by 'tsweave completion zsh'
_tsweave_peers() {
  local -a peers
  peers=(\${(f)"$(${PEER_NAMES})"})
  compadd -a peers
}
_tsweave() {
  local -a commands
  commands=(
${rows.join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  ((CURRENT--))
  case $name in
${commands.map((command) => commandCase(command, commands)).join("\n")}
  esac
}
if [[ \${funcstack[1]} == _tsweave ]]; then _tsweave "$@"; else compdef _tsweave tsweave; fi
`;
}

function commandCase(command: Completed, all: readonly Completed[]): string {
  const specs = optionsOf(command).flatMap((option) => {
    const source = valueSource(option, all);
    const value = source === undefined ? "" : `:${plain(option.value ?? "")}:${action(source)}`;
    const spellings = [`--${option.name}`, ...(option.short ? [`-${option.short}`] : [])];
    return spellings.map((spelling) => {
      const takes = source !== undefined && spelling.startsWith("--") ? "=" : "";
      return quoted(`${spelling}${takes}[${plain(option.summary)}]${value}`, "zsh");
    });
  });
  const source = argumentSource(command, all);
  const many = source.kind === "peers" && command.positionalsMax > 1 ? "*" : "1";
  const rest = source.kind === "nothing" ? [] : [quoted(`${many}: :${action(source)}`, "zsh")];
  const lines = [...specs, ...rest].map((spec) => `        ${spec}`).join(" \\\n");
  return `    ${command.name})\n      _arguments -S \\\n${lines} ;;`;
}

function action(source: Source): string {
  switch (source.kind) {
    case "words":
      return `(${source.words.join(" ")})`;
    case "peers":
      return "_tsweave_peers";
    case "files":
      return "_files";
    case "directories":
      return "_files -/";
    case "nothing":
      return " ";
  }
}

/** Text in a spec without what a spec is made of. */
function plain(text: string): string {
  return text.replace(/[[\]\\:]/g, (sign) => `\\${sign}`);
}
