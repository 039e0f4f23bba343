/** `tsweave stop`: returns when the daemon has ended. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const stop: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [RUN_DIR_OPTION],
  notes: [
    "Tells the other peers, saves what is known and ends the daemon. Running containers keep",
    "their network; until the next launch none can be started on a tsweave network.",
  ],
  examples: ["tsweave stop"],
  run: async (input) => {
    await clientFor(input).stop();
    input.write("stopped; running containers keep their network until the next 'tsweave launch'\n");
    return EXIT.ok;
  },
};
