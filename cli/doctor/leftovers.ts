/**
 * What a daemon that died left behind.
 *
 * Law: only a dead daemon's things are repaired. While one runs they are its business.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isSandbox, restoreSandbox } from "../../dns/index.ts";
import { type Finding, findings } from "./finding.ts";
import { type Host, tool } from "./host.ts";
import { ownNamespaces } from "./settings.ts";
import { answers } from "./software.ts";

/** Where engines keep containers' network namespaces. */
const SANDBOXES = "/run/docker/netns";
const SANDBOXES_MAX = 4096;
const AT_ONCE = 8;

export async function checkLeftovers({ daemon, config }: Host): Promise<Finding[]> {
  if (daemon !== undefined) return [];
  const { ok, warn } = findings("leftovers");
  const found: Finding[] = [];
  const control = join(config.runDir, "control.sock");
  if ((await answers(control)) === false) {
    const repair = { what: `removed ${control}`, run: () => rm(control, { force: true }) };
    found.push(warn(`${control} is stale`, "tsweave doctor --fix, or tsweave launch", repair));
  }
  const namespaces = await ownNamespaces();
  if (namespaces.length > 0) {
    const text = `${namespaces.length} overlay namespaces carry traffic without a daemon`;
    found.push(warn(text, "tsweave launch; to remove everything: tsweave reset"));
  }
  found.push(...(await deafSandboxes()));
  return found.length > 0 ? found : [ok("nothing is left")];
}

/** Containers whose lookups are sent to a daemon that is no more. */
async function deafSandboxes(): Promise<Finding[]> {
  const hooked: string[] = [];
  const names = (await readdir(SANDBOXES).catch(() => [])).slice(0, SANDBOXES_MAX);
  for (let start = 0; start < names.length; start += AT_ONCE) {
    const keys = names.slice(start, start + AT_ONCE).map((name) => join(SANDBOXES, name));
    const states = await Promise.all(keys.map(isHooked));
    hooked.push(...keys.filter((_, at) => states[at] === true));
  }
  if (hooked.length === 0) return [];
  const run = async (): Promise<void> => {
    for (const key of hooked) await restoreSandbox(key);
  };
  const repair = { what: `${hooked.length} containers back on Docker's resolver`, run };
  const text = `${hooked.length} containers ask a daemon that is gone for every name`;
  const next = "tsweave launch; or tsweave doctor --fix for Docker's own resolver";
  return [findings("dns").fail(text, next, repair)];
}

async function isHooked(key: string): Promise<boolean> {
  if (!(await isSandbox(key))) return false;
  const look = ["nsenter", `--net=${key}`, "nft", "list", "table", "ip", "tsweave_dns"];
  return (await tool(look)).code === 0;
}
