/** `tsweave netns`: a command inside the namespace of a network, a container, or any other. */
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { constants } from "node:os";
import { asTsweaveError, EXIT, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { NamespaceRow } from "../control/api.ts";
import { SCHEMA } from "../control/api.ts";
import { namespacesTable } from "../render/attach-text.ts";
import { JSON_OPTION } from "./attach-options.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

/** Where programs keep names of namespaces. */
const NETNS_DIRS = ["/run/netns", "/run/docker/netns", "/var/run/docker/netns"] as const;

export const netns: Command = {
  usage: "[NETWORK|CONTAINER|PID|NAMESPACE] [options] -- COMMAND...",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: [JSON_OPTION, RUN_DIR_OPTION],
  notes: [
    "Runs COMMAND in the namespace of a tsweave network, of a container or process, or one with a",
    "name or path, and ends with its exit code; it needs root. Without a word it is the network's",
    "that launch made. Without a command it lists the networks' namespaces on this host. Names of",
    "containers and networks need the daemon, all else does not.",
  ],
  examples: [
    "tsweave netns",
    "tsweave netns tsweave -- bridge fdb show dev vxlan0",
    "tsweave netns web -- ip route",
    "tsweave netns -- tcpdump -ni br0",
  ],
  run: async (input) => {
    const { place, command } = wordsOf(input);
    if (command.length === 0 && place === undefined) return await list(input);
    if (input.options.json === true) {
      const hint = "see 'tsweave help netns'";
      throw new TsweaveError("USAGE", "--json goes with the list, not with a COMMAND", { hint });
    }
    if (command.length === 0) {
      throw new TsweaveError("USAGE", "no command specified", {
        hint: `such as 'tsweave netns ${place} -- ip addr'`,
      });
    }
    return await enter(await pathOf(place, input), command);
  },
};

function wordsOf({ argv, positionals }: CommandInput): {
  place: string | undefined;
  command: readonly string[];
} {
  const end = argv.indexOf("--");
  const command = end < 0 ? [] : argv.slice(end + 1);
  const [place, surplus] = positionals.slice(0, positionals.length - command.length);
  if (surplus === undefined) return { place, command };
  throw new TsweaveError("USAGE", `netns does not take the argument '${surplus}'`, {
    hint: `write the command after --, as in 'tsweave netns ${place} -- ${surplus}'`,
  });
}

async function list(input: CommandInput): Promise<number> {
  const namespaces = await namespacesOf(input);
  const asJson = input.options.json === true;
  const json = { schema: SCHEMA, namespaces };
  input.write(asJson ? `${JSON.stringify(json)}\n` : namespacesTable(namespaces, input.style));
  return EXIT.ok;
}

/** From the daemon; without one what has our names, of networks that nobody can tell. */
async function namespacesOf(input: CommandInput): Promise<readonly NamespaceRow[]> {
  try {
    return (await clientFor(input).namespaces()).namespaces;
  } catch (error) {
    if (asTsweaveError(error).code !== "NOT_RUNNING") throw error;
    const names = readdirSync("/run/netns", { withFileTypes: true }).map(({ name }) => name);
    return names
      .filter((name) => /^tsweave-[0-9a-f]{10}$/.test(name))
      .map((namespace) => ({ network: "", namespace }));
  }
}

async function pathOf(place: string | undefined, input: CommandInput): Promise<string> {
  if (place === undefined) {
    const [first] = await namespacesOf(input);
    if (first !== undefined) return `/run/netns/${first.namespace}`;
    throw new TsweaveError("NOT_FOUND", "no network has a namespace on this host", {
      hint: "see 'tsweave status networks'",
    });
  }
  try {
    return await clientFor(input).locate(place);
  } catch (error) {
    const { code } = asTsweaveError(error);
    const isUnknown = code === "NOT_FOUND" || code === "NOT_RUNNING" || code.startsWith("DOCKER_");
    const local = isUnknown ? localPath(place) : undefined;
    if (local !== undefined) return local;
    if (code === "NOT_RUNNING") throw cannotOpen(place, error);
    throw error;
  }
}

function localPath(place: string): string | undefined {
  const places = place.includes("/")
    ? [place]
    : [...NETNS_DIRS.map((folder) => `${folder}/${place}`), `/proc/${place}/ns/net`];
  return places.find((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
}

function cannotOpen(place: string, cause: unknown): TsweaveError {
  const text = `cannot open network namespace '${place.slice(0, 100)}'`;
  const hint = "without a daemon only paths, process ids and names of namespaces are known";
  return new TsweaveError("NOT_FOUND", text, { hint, cause });
}

async function enter(path: string, command: readonly string[]): Promise<number> {
  const child = spawn("nsenter", [`--net=${path}`, "--", ...command], { stdio: "inherit" });
  const ignore = (): void => undefined; // The terminal sends it to the command as well.
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        const hint = "apt-get install util-linux";
        const isMissing = error.code === "ENOENT";
        const text = isMissing ? "nsenter is not installed" : error.message;
        const code = isMissing ? "TOOL_MISSING" : "COMMAND_FAILED";
        reject(new TsweaveError(code, text, isMissing ? { hint } : {}));
      });
      child.once("exit", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}
