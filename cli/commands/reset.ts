/** `tsweave reset`: leave, and remove everything of tsweave from this host. */
import { resolve } from "node:path";
import { asTsweaveError, EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { ControlClient } from "../control/client.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";
import { consent, YES_OPTION } from "./consent.ts";
import { requireRoot } from "./root.ts";

const STATE_DIR = "/var/lib/tsweave";

export const reset: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    YES_OPTION,
    { name: "force", summary: "also with running containers, or when no peer can be reached" },
    { name: "keep-state", summary: "without leaving: keep the state and Docker's networks" },
    {
      name: "state-dir",
      value: "DIR",
      summary: "the state to remove, also TSWEAVE_STATE_DIR",
      default: STATE_DIR,
    },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Leaves the mesh as 'tsweave leave' does, removes the tsweave networks from Docker, ends the",
    "daemon, and removes its state, its namespaces and its devices. Without a running daemon only",
    "the latter; the mesh then still counts this host until 'tsweave rmpeer' on another one.",
    "With --keep-state the daemon ends and only namespaces and devices that no container uses go:",
    "the next launch is the same member again. Removing the Debian package does this.",
  ],
  examples: ["tsweave reset", "tsweave reset --yes --force", "tsweave reset --keep-state"],
  run: async (input) => {
    requireRoot("reset", "removes what is tsweave's on this host");
    if (input.options["keep-state"] === true) return await clearKernel(input);
    await consent(input, "This removes all state of tsweave from this host.");
    const client = clientFor(input);
    const left = await leaveMesh(client, input);
    const { wipeState } = await import("../wipe.ts");
    const removed = await wipeState(stateDirOf(input));
    input.write(`${left}; removed ${removed.length === 0 ? "nothing" : removed.join(", ")}\n`);
    return EXIT.ok;
  },
};

/** Ends the daemon and takes what nobody uses out of the kernel; nothing is lost by that. */
async function clearKernel(input: CommandInput): Promise<number> {
  if (input.options.force === true) {
    throw new TsweaveError("USAGE", "--force does not go with --keep-state", {
      hint: "tsweave help reset",
    });
  }
  await clientFor(input)
    .stop()
    .catch((error: unknown) => {
      if (asTsweaveError(error).code !== "NOT_RUNNING") throw error;
    });
  const { wipeIdle } = await import("../wipe.ts");
  const { removed, used } = await wipeIdle();
  const still = used.length === 0 ? "" : `; still in use, so left: ${used.join(", ")}`;
  input.write(`removed ${removed.length === 0 ? "nothing" : removed.join(", ")}${still}\n`);
  return EXIT.ok;
}

/** What became of the membership, in words. */
async function leaveMesh(client: ControlClient, input: CommandInput): Promise<string> {
  const force = input.options.force === true;
  try {
    input.note("handing over address ranges and removing networks ...\n");
    const { text } = await client.leave({ force, networks: true });
    await client.stop();
    return text;
  } catch (error) {
    if (asTsweaveError(error).code !== "NOT_RUNNING") throw error;
    return "no daemon runs; on another host: 'tsweave rmpeer' of this one";
  }
}

function stateDirOf({ options, env }: CommandInput): string {
  const given = options["state-dir"];
  return resolve(typeof given === "string" ? given : env.TSWEAVE_STATE_DIR || STATE_DIR);
}
