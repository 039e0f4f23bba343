/** `tsweave help`: dispatch prints it; this row documents it like any other command. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";

export const help: Command = {
  usage: "[COMMAND] [options]",
  positionalsMax: 1,
  words: "commands",
  options: [{ name: "man", summary: "print the manual page of all commands" }],
  notes: [],
  examples: ["tsweave help", "tsweave help launch", "tsweave help --man | man -l -"],
  run: async () => EXIT.ok,
};
