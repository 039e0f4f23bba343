/** `tsweave schema`: what the JSON of a command holds, for programs that check or generate. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { suggest } from "../suggestion.ts";

export const schema: Command = {
  usage: "[COMMAND [TABLE]]",
  positionalsMax: 2,
  words: "commands",
  options: [],
  notes: [
    "Prints the JSON Schema (2020-12) of what COMMAND prints with --json; without COMMAND one",
    "document with those of all commands, by name under $defs. 'events' and 'logs' print one such",
    "object a line. Fields may be added without notice: those that are there now stay, and a",
    'change of meaning raises "schema". Needs no daemon.',
  ],
  examples: [
    "tsweave schema status",
    "tsweave schema status peers",
    "tsweave schema | jq '.[\"$defs\"] | keys'",
  ],
  run: async ({ positionals, write }) => {
    const { REPLIES, schemaDocument } = await import("../schema/replies.ts");
    const name = positionals.length === 0 ? undefined : positionals.join(" ");
    if (name !== undefined && REPLIES[name] === undefined) {
      const known = Object.keys(REPLIES);
      const hint = suggest(name, known, `one of ${known.join(", ")}`);
      const text = `no command prints JSON as '${name.slice(0, 64)}'`;
      throw new TsweaveError("NOT_FOUND", text, { hint });
    }
    write(`${JSON.stringify(schemaDocument(name), null, 2)}\n`);
    return EXIT.ok;
  },
};
