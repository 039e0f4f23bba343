/** `tsweave links`: which device leads where, over all namespaces of this host. */
import { execFile } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { EXIT, messageOf, TsweaveError } from "../../mesh/index.ts";
import type { Command } from "../command.ts";
import { SCHEMA } from "../control/api.ts";
import { type LinkRow, linksTable, readLinks, withPeers } from "../render/links.ts";
import { JSON_OPTION } from "./attach-options.ts";

const FOLDERS = ["/run/netns", "/run/docker/netns"] as const;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** Shares of the namespaces, looked into at the same time. */
const AT_ONCE = 4;

const run = promisify(execFile);

export const links: Command = {
  usage: "[IFINDEX] [options]",
  positionalsMax: 1,
  options: [JSON_OPTION],
  notes: [
    "One line for each device of the host, of every namespace under /run/netns (the networks' and",
    "others), and of Docker's containers: its number, what it is plugged into, and the namespace",
    "and device at the other end of a veth pair. With IFINDEX only the devices of that number: for",
    "'eth0@if76' inside a container, 'tsweave links 76' shows where it leads. Needs root, and no",
    "daemon.",
  ],
  examples: ["tsweave links", "tsweave links 76"],
  run: async (input) => {
    const index = indexOf(input.positionals[0]);
    const all = withPeers(await allLinks());
    const found = all.filter((link) => index === undefined || link.index === index);
    if (found.length === 0) {
      throw new TsweaveError("NOT_FOUND", `no device has the number ${index}`, {
        hint: "see 'tsweave links'",
      });
    }
    const json = { schema: SCHEMA, links: found };
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(json)}\n` : linksTable(found, input.style));
    return EXIT.ok;
  },
};

function indexOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  if (/^[1-9]\d{0,9}$/.test(word)) return Number(word);
  throw new TsweaveError("USAGE", `'${word.slice(0, 32)}' is not the number of a device`, {
    hint: "such as 76, from 'eth0@if76' in 'ip link'",
  });
}

async function allLinks(): Promise<LinkRow[]> {
  const others = otherNamespaces();
  const shares = Array.from({ length: AT_ONCE }, (_, at) =>
    others.filter((_place, index) => index % AT_ONCE === at),
  ).filter((share) => share.length > 0);
  const found = (await Promise.all([ownLinks(), ...shares.map(linksIn)])).flat();
  const order = ({ namespace, index }: LinkRow) => `${namespace} ${String(index).padStart(10)}`;
  return found.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

interface Place {
  readonly name: string;
  readonly path: string;
}

/** All but the one this runs in, each once. */
function otherNamespaces(): Place[] {
  const seen = new Set([statSync("/proc/self/ns/net").ino]);
  const places: Place[] = [];
  for (const folder of FOLDERS) {
    for (const name of namesIn(folder)) {
      const path = `${folder}/${name}`;
      const inode = statSync(path, { throwIfNoEntry: false })?.ino ?? 0;
      if (seen.has(inode)) continue;
      seen.add(inode);
      places.push({ name: folder === "/run/netns" ? name : `docker:${name}`, path });
    }
  }
  return places;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // No such folder: nobody keeps namespaces there.
  }
}

async function ownLinks(): Promise<LinkRow[]> {
  return readLinks("host", await output("ip", ["-j", "-d", "link", "show"]));
}

/**
 * A line each, by one shell: a process of its own for each namespace would cost this one more than
 * the looks themselves. One that is gone meanwhile, or a name without a namespace, has no devices.
 */
const LOOKS = `for ns; do
  nsenter --net="$ns" -- ip -j -d link show 2> /dev/null ||
    { [ $? -ne 127 ] || exit 127; echo '[]'; }
done`;

async function linksIn(share: readonly Place[]): Promise<LinkRow[]> {
  const text = await output("sh", ["-c", LOOKS, "links", ...share.map(({ path }) => path)]);
  const lines = text.split("\n").filter((line) => line !== "");
  if (lines.length !== share.length) {
    throw new TsweaveError("COMMAND_FAILED", "ip link show: not one line of JSON");
  }
  return share.flatMap(({ name }, at) => readLinks(name, lines[at] ?? ""));
}

async function output(file: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(file, args, { maxBuffer: OUTPUT_BYTES_MAX })).stdout;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ENOENT" || code === 127) {
      throw new TsweaveError("TOOL_MISSING", "ip or nsenter is not installed", {
        hint: "apt-get install iproute2 util-linux",
      });
    }
    throw new TsweaveError("COMMAND_FAILED", `ip link: ${messageOf(error)}`, { cause: error });
  }
}
