/** `tsweave version`. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { VERSION } from "../version.ts";

export const version: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [{ name: "json", summary: "print a JSON object" }],
  notes: ["The version of this executable; 'tsweave status' shows the running peer's."],
  examples: ["tsweave version", "tsweave version --json"],
  run: async ({ options, write }) => {
    const facts = { schema: 1, version: VERSION, node: process.versions.node };
    write(options.json === true ? `${JSON.stringify(facts)}\n` : `tsweave ${VERSION}\n`);
    return EXIT.ok;
  },
};
