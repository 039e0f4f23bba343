/** `tsweave ps`: what has an address on this host. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { psTable } from "../render/attach-text.ts";
import { JSON_OPTION } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const ps: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [JSON_OPTION, RUN_DIR_OPTION],
  notes: [
    "Every endpoint of this host: containers that Docker connected, what 'tsweave attach' gave an",
    "address, the host itself ('tsweave expose'). Those of all hosts: 'tsweave status endpoints'.",
  ],
  examples: ["tsweave ps", "tsweave ps --json"],
  run: async (input) => {
    const reply = await clientFor(input).ps();
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : psTable(reply.endpoints, input.style));
    return EXIT.ok;
  },
};
