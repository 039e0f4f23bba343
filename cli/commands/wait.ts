/** `tsweave wait`: returns when the peer is as asked, or with exit code 6. */
import { setTimeout as sleep } from "node:timers/promises";
import { asTsweaveError, EXIT, messageOf, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import type { ControlClient } from "../control/client.ts";
import { parseDuration } from "../duration.ts";
import { CONDITIONS, type Condition, parseConditions } from "../wait-conditions.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const LOOK_MS = 100;
const TIMEOUT = "60s";

export const wait: Command = {
  usage: "[options]",
  positionalsMax: 0,
  options: [
    {
      name: "for",
      value: "WHAT[,WHAT...]",
      summary: "ready, peers=N, founded, in-sync; all of them",
      default: "ready",
      words: CONDITIONS,
    },
    { name: "timeout", value: "TIME", summary: "then end with exit code 6", default: TIMEOUT },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "ready: containers can be started: addresses are agreed on, the plugin is served, and Docker",
    "answers now and has the network; with --no-docker it does not matter. peers=N: so many peers",
    "are alive, this one included. founded: the mesh has agreed on address ranges. in-sync: the",
    "kernel is as the tables say. A daemon that does not run yet is waited for, and so is Docker.",
    "TIME is a number and s, m, h or d; 0 looks once.",
  ],
  examples: [
    "tsweave wait && docker run -d --net tsweave --name web IMAGE",
    "tsweave wait --for ready,peers=3 --timeout 2m",
  ],
  run: async (input) => {
    const { options } = input;
    const what = typeof options.for === "string" ? options.for : "ready";
    const given = typeof options.timeout === "string" ? options.timeout : TIMEOUT;
    const conditions = parseConditions(what);
    const timeoutMs = parseDuration(given, "--timeout");
    const startMs = performance.now();
    const elapsedMs = (): number => Math.round(performance.now() - startMs);
    const client = clientFor(input);
    const asksDocker = what.split(",").includes("ready");
    for (;;) {
      const missing = await missingFrom(client, conditions, asksDocker);
      if (missing === undefined) break;
      if (elapsedMs() >= timeoutMs) {
        throw new TsweaveError("TIMED_OUT", `not ${what} within ${given}: ${missing}`, {
          hint: "see 'tsweave status'",
        });
      }
      await sleep(Math.min(LOOK_MS, Math.max(1, timeoutMs - elapsedMs())));
    }
    const facts = { schema: 1, for: what.split(","), waitedMs: elapsedMs() };
    const text = `${what} after ${(facts.waitedMs / 1000).toFixed(1)} s\n`;
    input.write(options.json === true ? `${JSON.stringify(facts)}\n` : text);
    return EXIT.ok;
  },
};

/** What is missing, in words. A daemon that is absent or busy may yet come. */
async function missingFrom(
  client: ControlClient,
  conditions: readonly Condition[],
  asksDocker: boolean,
): Promise<string | undefined> {
  try {
    const status = await client.status();
    const texts = conditions.map((condition) => condition(status));
    const missing = texts.find((text) => text !== undefined);
    return missing ?? (asksDocker ? await silenceOfDocker(client) : undefined);
  } catch (error) {
    const { code, message } = asTsweaveError(error);
    if (code === "NOT_RUNNING" || code === "TIMED_OUT") return message;
    throw error;
  }
}

/**
 * What a daemon remembers of Docker may be 30 s old, and an engine that hangs still takes
 * connections: so it is asked now.
 */
async function silenceOfDocker(client: ControlClient): Promise<string | undefined> {
  const { docker, dockerSocket } = (await client.host()).config;
  if (!docker) return undefined;
  const { ask } = await import("../doctor/docker.ts");
  try {
    await ask(dockerSocket, "/version");
    return undefined;
  } catch (error) {
    return `Docker at ${dockerSocket} does not answer: ${messageOf(error)}`;
  }
}
