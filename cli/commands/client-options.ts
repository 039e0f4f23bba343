/** What every command that talks to the daemon has in common. */
import { resolve } from "node:path";
import type { CommandInput, Option } from "../command.ts";
import { ControlClient } from "../control/client.ts";

const RUN_DIR = "/run/tsweave";

export const RUN_DIR_OPTION: Option = {
  name: "run-dir",
  value: "DIR",
  summary: "where the daemon's socket is, also TSWEAVE_RUN_DIR",
  default: RUN_DIR,
};

/** A client for the daemon that the options and the environment point to. */
export function clientFor({ options, env }: Pick<CommandInput, "options" | "env">): ControlClient {
  const given = options["run-dir"];
  const directory = typeof given === "string" ? given : env.TSWEAVE_RUN_DIR || RUN_DIR;
  return new ControlClient(resolve(directory));
}
