/**
 * Everything that helps to find a fault from afar, as text files.
 *
 * Law: it reads and changes nothing; a part that cannot be read says why and hides no other; no
 * file of the state directory is copied, only its size.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { arch, hostname, release, totalmem } from "node:os";
import { join } from "node:path";
import { asTsweaveError } from "../../mesh/index.ts";
import type { LaunchConfig } from "../config.ts";
import { READS } from "../control/api.ts";
import type { ControlClient } from "../control/client.ts";
import { ask } from "../doctor/docker.ts";
import { daemonOf, examine } from "../doctor/examine.ts";
import { tool } from "../doctor/host.ts";
import { ownNamespaces } from "../doctor/settings.ts";
import { lastLines } from "../log-reader.ts";
import { VERSION } from "../version.ts";
import { redacted } from "./redact.ts";
import type { TarFile } from "./tar.ts";

const LOG_LINES = 5000;
const FILES_MAX = 1000;

interface Sources {
  readonly client: ControlClient;
  /** As the next launch would have it. */
  readonly config: LaunchConfig;
  readonly logFile: string;
  /** Words that must not appear. */
  readonly secrets: readonly string[];
}

/** All files of a report, below one folder. */
export async function collect(sources: Sources, folder: string): Promise<TarFile[]> {
  const { client, config } = sources;
  const parts: [string, () => Promise<string>][] = [
    ["versions.txt", versions],
    ["doctor.json", async () => json(await examine(await daemonOf(client), config, false))],
    ["status.json", async () => json(await client.status())],
    ...READS.map((name): [string, () => Promise<string>] => [
      `status-${name}.json`,
      async () => json(await client.read(name)),
    ]),
    ["host.json", async () => json(await client.host())],
    ["peers.json", async () => json(await client.ask())],
    ["log-levels.json", async () => json(await client.log())],
    ["keys.json", async () => json(await client.keys())],
    ["events.jsonl", () => eventsOf(client)],
    ["log.jsonl", () => logOf(sources)],
    ["state-files.txt", () => filesOf(config.stateDir)],
    ["docker.json", async () => json(await ask(config.dockerSocket, "/version"))],
    ["host-network.txt", () => commands(hostCommands())],
  ];
  for (const netns of await ownNamespaces()) {
    parts.push([`network-${netns}.txt`, () => commands(namespaceCommands(netns))]);
  }
  const files: TarFile[] = [];
  for (const [name, read] of parts) {
    const text = await read().catch((error: unknown) => `${asTsweaveError(error).line}\n`);
    files.push({ path: `${folder}/${name}`, text: redacted(text, sources.secrets) });
  }
  const manifest = files.map(({ path, text }) => `${path} ${Buffer.byteLength(text)} bytes\n`);
  return [{ path: `${folder}/MANIFEST`, text: manifest.join("") }, ...files];
}

async function versions(): Promise<string> {
  const os = await readFile("/etc/os-release", "utf8").catch(() => "");
  const lines = [
    `tsweave ${VERSION}`,
    `node ${process.versions.node}`,
    `linux ${release()} ${arch()}, ${Math.round(totalmem() / 2 ** 20)} MiB`,
    `host ${hostname()}`,
    `time ${new Date().toISOString()}`,
    ...os.split("\n").filter((line) => line.startsWith("PRETTY_NAME")),
  ];
  return `${lines.join("\n")}\n${await commands([
    ["ip", "-V"],
    ["nft", "--version"],
  ])}`;
}

function hostCommands(): string[][] {
  return [
    ["ip", "-d", "addr", "show"],
    ["ip", "route", "show", "table", "all"],
    ["ip", "netns", "list"],
    ["nft", "list", "tables"],
    ["ss", "-tuln"],
  ];
}

function namespaceCommands(netns: string): string[][] {
  return [
    ["ip", "-n", netns, "-d", "-s", "link", "show"],
    ["ip", "-n", netns, "addr", "show"],
    ["ip", "-n", netns, "neigh", "show"],
    ["bridge", "-n", netns, "fdb", "show"],
    ["ip", "netns", "exec", netns, "nft", "list", "ruleset"],
  ];
}

async function commands(all: readonly string[][]): Promise<string> {
  const texts: string[] = [];
  for (const argv of all) {
    const { out, err, code } = await tool(argv);
    texts.push(`# ${argv.join(" ")}${code === 0 ? "" : ` (exit ${code})`}\n${out}${err}`);
  }
  return texts.join("\n");
}

async function eventsOf(client: ControlClient): Promise<string> {
  const lines: string[] = [];
  const wish = { ageMs: 366 * 86_400_000, follow: false };
  await client.events(wish, (line) => lines.push(`${line}\n`), new AbortController().signal);
  return lines.join("");
}

async function logOf({ client, logFile }: Sources): Promise<string> {
  const told = await client.log().then(
    ({ file }) => file,
    () => logFile,
  );
  if (told === null) return "the daemon logs to its service manager: journalctl -u tsweave\n";
  const lines: string[] = [];
  await lastLines(
    told,
    LOG_LINES,
    () => true,
    (line) => lines.push(`${line}\n`),
  );
  return lines.join("");
}

/** Names and sizes only: journals and the key ring stay where they are. */
async function filesOf(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort().slice(0, FILES_MAX);
  const rows = await Promise.all(
    names.map(async (name) => {
      const { size, mtime } = await stat(join(directory, name));
      return `${name} ${size} bytes, ${mtime.toISOString()}\n`;
    }),
  );
  return rows.join("");
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}
