/**
 * The end of a run: every container and network is removed, then tsweave itself, and nothing of it
 * may be left on any host.
 */

import type { EndpointRow } from "../../cli/control/api.ts";
import { until } from "../lab/exec.ts";
import { STATE, type World } from "./world.ts";

const GONE_MS = 20_000;

/** Removes everything through Docker and tsweave; what then is still there. */
export async function leftAtTheEnd(world: World): Promise<string[]> {
  const problems: string[] = [];
  const remove = "docker ps -aq | xargs -r docker rm -f";
  await Promise.all(world.hosts.map((host) => world.mesh.ok(host, ["sh", "-c", remove], 60_000)));
  for (const host of world.hosts) problems.push(...(await endpointsLeft(world, host)));
  for (const host of world.hosts) {
    const { code, stderr } = await world.mesh.cli(host, "reset", "--yes");
    if (code !== 0) problems.push(`${host}: tsweave reset: exit ${code}: ${stderr.trim()}`);
  }
  for (const host of world.hosts) problems.push(...(await thingsLeft(world, host)));
  return problems;
}

async function endpointsLeft(world: World, host: string): Promise<string[]> {
  let rows: EndpointRow[] = [];
  const look = async (): Promise<boolean> => {
    const path = "/v1/status/endpoints";
    const { endpoints } = await world.control<{ endpoints: EndpointRow[] }>(host, path);
    // Those of a replaced host's former peer are told as dead for a while after a start.
    rows = endpoints.filter(({ state }) => state !== "dead");
    return rows.length === 0;
  };
  try {
    await until("the tables to be empty", look, { timeoutMs: GONE_MS, everyMs: 250 });
    return [];
  } catch (error) {
    const names = rows.map(({ name, network, ip }) => `${name} ${network} ${ip}`).join(", ");
    return [`${host}: endpoints left at the end: ${names || String(error)}`];
  }
}

/** Each line of this is something that should not be there. */
const LOOK = `
ip netns list | sed -n 's/^tsweave.*/namespace &/p'
ip -o link | grep -oE '(tswc|tsw-|tsweave)[^:@]*' | sed 's/^/device /'
nft list tables | grep tsweave
docker network ls --format '{{.Name}} {{.Driver}}' | grep tsweave | sed 's/^/docker network /'
ls -A ${STATE} | sed 's/^/state /'
find /run/tsweave /run/docker/plugins -type s 2> /dev/null | sed 's/^/socket /'
ps -eo args= | grep -E '^[^ ]*node .*tsweave\\.js|^ip .*monitor|^bridge .*monitor|^perl' |
  sed 's/^/process /'
true`;

async function thingsLeft(world: World, host: string): Promise<string[]> {
  const text = await world.mesh.ok(host, ["sh", "-c", LOOK]);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => `${host}: left after reset: ${line}`);
}
