/** `tsweave help`: dispatch prints it; this row documents it like any other command. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";

export const help: Command = {
  usage: "[COMMAND]",
  positionalsMax: 1,
  options: [],
  notes: [],
  examples: ["tsweave help", "tsweave help launch"],
  run: async () => EXIT.ok,
};
