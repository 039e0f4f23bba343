/** `tsweave leave`: this host leaves the mesh for good, in order. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

export const leave: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "force", summary: "also with running containers, or when no peer can be reached" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Hands this host's address ranges to another peer, leaves the mesh and ends the daemon. To go",
    "only for a while, 'tsweave stop' is enough. Containers on tsweave networks must be gone.",
    "With --force they keep running without the mesh, and where no peer can be reached the ranges",
    "are lost until 'tsweave rmpeer' on another host. The next launch joins as a new member.",
  ],
  examples: ["tsweave leave"],
  run: async (input) => {
    const client = clientFor(input);
    // Says nothing of what it does before it knows that a daemon runs.
    await client.status();
    input.note("handing over address ranges ...\n");
    const { text } = await client.leave({ force: input.options.force === true });
    await client.stop();
    input.write(`${text}; stopped\n`);
    return EXIT.ok;
  },
};
