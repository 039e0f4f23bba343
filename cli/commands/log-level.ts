/** `tsweave log-level`: what the running daemon logs, shown and changed. */
import { EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { LOG_LEVELS } from "../launch-options.ts";
import { levelsTable } from "../render/tables.ts";
import { suggest } from "../suggestion.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const logLevel: Command = {
  usage: "[[PART] LEVEL] [options]",
  positionalsMax: 2,
  words: LOG_LEVELS,
  options: [{ name: "json", summary: "print a JSON object" }, RUN_DIR_OPTION],
  notes: [
    `LEVEL is ${LOG_LEVELS.join(", ")}. Without PART it counts for the whole daemon, and no part`,
    "has a level of its own any more. Shows the levels without an argument. The change ends with",
    "the daemon; the next launch has --log-level's.",
  ],
  examples: ["tsweave log-level", "tsweave log-level debug", "tsweave log-level ipalloc debug"],
  run: async (input) => {
    const [first, second] = input.positionals;
    const client = clientFor(input);
    const word = second ?? first;
    const change =
      second === undefined || first === undefined
        ? { level: levelOf(word ?? "info") }
        : { level: levelOf(second), part: first };
    const reply = word === undefined ? await client.log() : await client.setLogLevel(change);
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : levelsTable(reply, input.style));
    return EXIT.ok;
  },
};

function levelOf(word: string): (typeof LOG_LEVELS)[number] {
  const level = LOG_LEVELS.find((candidate) => candidate === word);
  if (level !== undefined) return level;
  throw new TsweaveError("USAGE", `'${word.slice(0, 64)}' is not a log level`, {
    hint: suggest(word, LOG_LEVELS, `use one of ${LOG_LEVELS.join(", ")}`),
  });
}
