/** `tsweave completion`: a shell's completion, made from the command table. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { suggest } from "../suggestion.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

export const completion: Command = {
  usage: SHELLS.join("|"),
  positionalsMax: 1,
  words: SHELLS,
  options: [],
  notes: [
    "Prints a script for the shell to read: commands, options, what an option's value may be, and",
    "the names of peers, which it asks the running daemon for. Make it anew after an upgrade.",
  ],
  examples: [
    "tsweave completion bash > /etc/bash_completion.d/tsweave",
    'tsweave completion zsh > "$' + '{fpath[1]}/_tsweave"',
    "tsweave completion fish > /etc/fish/completions/tsweave.fish",
  ],
  run: async ({ positionals, commands, write }) => {
    const [word = ""] = positionals;
    const shell = SHELLS.find((candidate) => candidate === word);
    if (shell === undefined) {
      const text = word === "" ? "completion needs a shell" : `no completion for '${word}'`;
      const hint = suggest(word, SHELLS, `name one of ${SHELLS.join(", ")}`);
      throw new TsweaveError("USAGE", text, { hint });
    }
    const { completionScript } = await import("../completion/script.ts");
    const { describedCommands } = await import("./described.ts");
    write(completionScript(shell, await describedCommands(commands)));
    return EXIT.ok;
  },
};
