/** `tsweave events`: what happened, and what happens. */
import { EXIT } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { parseDuration } from "../duration.ts";
import type { MeshEvent } from "../events/event.ts";
import { eventLine } from "../render/event-line.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

/** Longer than any daemon remembers. */
const EVERYTHING = "366d";

export const events: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    { name: "follow", short: "f", summary: "stay and show what happens, until interrupted" },
    {
      name: "since",
      value: "TIME",
      summary: "only events of the last TIME, such as 10m",
      default: "all that are remembered; none with --follow",
    },
    { name: "json", summary: "print a JSON object a line" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "Peers that come and go, networks and endpoints of all hosts, entries of the kernel that",
    "somebody changed and tsweave put right, changes of the roster, problems that begin and end.",
    "The daemon remembers the last 4096, until it ends. With --follow the command ends with exit",
    "code 3 when the daemon does. A reader that does not keep up is cut off with a note.",
  ],
  examples: [
    "tsweave events --since 10m",
    "tsweave events -f",
    "tsweave events -f --json | jq -r 'select(.kind == \"peer-dead\") | .details.peer'",
  ],
  run: async (input) => {
    const { options, write, style } = input;
    const follow = options.follow === true;
    const since = typeof options.since === "string" ? options.since : follow ? "0" : EVERYTHING;
    const wish = { ageMs: parseDuration(since, "--since"), follow };
    const interrupted = new AbortController();
    const interrupt = (): void => interrupted.abort();
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    const show = (line: string): void => {
      if (options.json === true) write(`${line}\n`);
      else write(eventLine(JSON.parse(line) as MeshEvent, style));
    };
    try {
      await clientFor(input).events(wish, show, interrupted.signal);
    } finally {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    }
    if (!follow || interrupted.signal.aborted) return EXIT.ok;
    input.note("tsweave: the daemon ended\n");
    return EXIT.notRunning;
  },
};
