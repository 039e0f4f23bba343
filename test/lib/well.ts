/**
 * What must hold on hosts with engines once nothing is done to them any more: tables, engines,
 * kernels and address books agree, and nothing is left over.
 */
import assert from "node:assert/strict";
import type { EndpointRow, Status } from "../../cli/control/api.ts";
import { kernelProblems } from "../chaos/kernel-checks.ts";
import { eventually, type MeshHosts } from "./mesh-hosts.ts";

/** Waits until nothing is wrong on any of these hosts, which are all hosts of the mesh. */
export async function allWell(
  mesh: MeshHosts,
  hosts: readonly string[],
  withinMs = 15_000,
): Promise<void> {
  await eventually("all is well", withinMs, async () => {
    assert.deepEqual(await problems(mesh, hosts), []);
  });
}

async function problems(mesh: MeshHosts, hosts: readonly string[]): Promise<string[]> {
  const tables = new Map<string, readonly EndpointRow[]>();
  const running = new Map<string, readonly string[]>();
  for (const host of hosts) {
    const reply = await mesh.json<{ endpoints: EndpointRow[] }>(host, "status", "endpoints");
    tables.set(host, reply.endpoints);
    running.set(host, await runningOn(mesh, host));
  }
  const all = [...running.values()].flat();
  const found: string[] = [];
  for (const host of hosts) {
    const status = await mesh.json<Status>(host, "status");
    found.push(...status.health.problems.map(({ code, text }) => `${host}: ${code}: ${text}`));
    if (status.mesh.alive !== hosts.length) found.push(`${host}: ${status.mesh.alive} alive`);
    const rows = (tables.get(host) ?? []).map((row) => `${row.network} ${row.name} ${row.ip}`);
    found.push(...differences(`${host}: row`, all, rows));
    const truth = { places: new Map(), endpoints: tables, former: new Map() };
    found.push(...(await kernelProblems({ mesh }, host, truth, new Set())));
    const own = running.get(host)?.length ?? 0;
    const used = await usedAddresses(mesh, host);
    if (used !== own) found.push(`${host}: ${used} addresses given out, ${own} in use`);
  }
  return found;
}

/** `network name ip` of each container's endpoint on tsweave networks of a host. */
async function runningOn(mesh: MeshHosts, host: string): Promise<string[]> {
  const list = ["network", "ls", "-q", "-f", "driver=tsweave"];
  const ids = (await mesh.docker(host, ...list)).split("\n").filter((id) => id !== "");
  if (ids.length === 0) return [];
  const format =
    "{{$net := .Name}}{{range .Containers}}{{$net}} {{.Name}} {{.IPv4Address}}\n{{end}}";
  const told = await mesh.docker(host, "network", "inspect", "-f", format, ...ids);
  return told
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.trim().replace(/\/\d+$/, ""));
}

/** Addresses that a host has given out, of all pools. */
async function usedAddresses(mesh: MeshHosts, host: string): Promise<number> {
  type Pools = { pools: { owned: { peer: string; used: number; reachable: boolean }[] }[] };
  const { pools } = await mesh.json<Pools>(host, "status", "ipam");
  const own = pools.flatMap(({ owned }) => owned.filter(({ peer }) => peer === host));
  return own.reduce((sum, { used }) => sum + used, 0);
}

function differences(what: string, wanted: readonly string[], found: readonly string[]): string[] {
  return [
    ...wanted.filter((one) => !found.includes(one)).map((one) => `${what} ${one} is missing`),
    ...found.filter((one) => !wanted.includes(one)).map((one) => `${what} ${one} is left over`),
  ];
}
