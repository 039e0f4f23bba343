/**
 * The laws at a quiet point: every fault is healed, and within a bound all hosts agree with one
 * another, with Docker and with their kernels.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointRow, Status } from "../../cli/control/api.ts";
import { kernelProblems } from "./kernel-checks.ts";
import { nameProblems } from "./name-checks.ts";
import { portProblems } from "./port-checks.ts";
import { endKept, networkProblems, ownerProblems } from "./shared-checks.ts";
import { NETWORKS, type Place, type World } from "./world.ts";

/** Looked at for so long after the bound, to tell what heals late from what never does. */
const LATE_MS = 40_000;

export interface Truth {
  /** By host. */
  readonly places: ReadonlyMap<string, readonly Place[]>;
  readonly endpoints: ReadonlyMap<string, readonly EndpointRow[]>;
  /** Rows of former peers of replaced hosts, told as dead: nobody's any more. */
  readonly former: ReadonlyMap<string, readonly EndpointRow[]>;
}

export interface QuietResult {
  readonly tookMs: number;
  /** What was wrong at each look, the first of it, with the time; only where that changed. */
  readonly seen: readonly string[];
  /** What was not as it should be at the bound, each with what became of it. */
  readonly violations: readonly string[];
}

/** What only the record of the run tells. */
export interface Past {
  /** Names of containers that were seen, dead or alive. */
  readonly names: () => ReadonlySet<string>;
  /** Addresses of hosts that were removed and replaced. */
  readonly replaced: () => ReadonlySet<string>;
  /** Those of them replaced so lately that rows and entries of the former may still be there. */
  readonly justReplaced: () => ReadonlySet<string>;
  /** Hosts whose engine was killed so lately that published ports may lead into the past. */
  readonly killedEngines: () => ReadonlySet<string>;
}

/** Looks until nothing is wrong, or until the bound and then some. */
export async function quietPoint(world: World, past: Past, boundMs: number): Promise<QuietResult> {
  const startMs = world.nowMs;
  let atBound: string[] | undefined;
  const seen: string[] = [];
  let last: string | undefined;
  for (;;) {
    const isLate = world.nowMs - startMs > boundMs;
    await endKept(world);
    const problems = await lookAtAll(world, past, isLate);
    const tookMs = world.nowMs - startMs;
    if (problems.length === 0) {
      const healed = `(healed after ${(tookMs / 1000).toFixed(0)} s)`;
      return { tookMs, seen, violations: (atBound ?? []).map((text) => `${text} ${healed}`) };
    }
    if (problems[0] !== last) seen.push(`${(tookMs / 1000).toFixed(1)} s: ${problems[0]}`);
    last = problems[0];
    if (isLate) atBound ??= problems;
    if (tookMs > boundMs + LATE_MS) {
      const never = `(${(tookMs / 1000).toFixed(0)} s after healing)`;
      return { tookMs, seen, violations: problems.map((text) => `${text} ${never}`) };
    }
    await sleep(500);
  }
}

/** The cheap looks first; what they find spares the others, unless it is late. */
async function lookAtAll(world: World, past: Past, isLate: boolean): Promise<string[]> {
  try {
    const onAll = async (look: (host: string) => Promise<string[]>): Promise<string[]> =>
      (await Promise.all(world.hosts.map(look))).flat();
    const problems = await onAll((host) => statusProblems(world, host));
    if (problems.length > 0 && !isLate) return problems;
    const truth = await truthOf(world, past.replaced());
    problems.push(...tableProblems(world, truth));
    problems.push(...formerProblems(truth, past.justReplaced()));
    problems.push(...(await networkProblems(world)), ...(await ownerProblems(world)));
    if (problems.length > 0 && !isLate) return problems;
    problems.push(
      ...(await onAll((host) => kernelProblems(world, host, truth, past.justReplaced()))),
    );
    if (problems.length > 0 && !isLate) return problems;
    problems.push(...(await onAll((host) => nameProblems(world, host, truth, past.names()))));
    const killed = past.killedEngines();
    problems.push(
      ...(await onAll(async (host) => (killed.has(host) ? [] : await portProblems(world, host)))),
    );
    return problems;
  } catch (error) {
    return [`not to be looked at: ${String(error).split("\n")[0]}`];
  }
}

async function statusProblems(world: World, host: string): Promise<string[]> {
  const status = await world.control<Status>(host, "/v1/status");
  const problems = status.health.problems.map(({ code, text }) => `${host}: ${code}: ${text}`);
  if (!status.health.ok && problems.length === 0) problems.push(`${host}: health is not ok`);
  if (!status.kernel.inSync) problems.push(`${host}: kernel out of sync`);
  if (status.mesh.alive !== world.hosts.length) {
    problems.push(`${host}: ${status.mesh.alive} of ${world.hosts.length} peers alive`);
  }
  return problems;
}

async function truthOf(world: World, replaced: ReadonlySet<string>): Promise<Truth> {
  const places = new Map<string, readonly Place[]>();
  const endpoints = new Map<string, readonly EndpointRow[]>();
  const former = new Map<string, readonly EndpointRow[]>();
  await Promise.all(
    world.hosts.map(async (host) => {
      places.set(host, await world.places(host));
      const path = "/v1/status/endpoints";
      const reply = await world.control<{ endpoints: EndpointRow[] }>(host, path);
      const isFormer = (row: EndpointRow): boolean =>
        row.state === "dead" && replaced.has(row.vtep);
      endpoints.set(
        host,
        reply.endpoints.filter((row) => !isFormer(row)),
      );
      former.set(host, reply.endpoints.filter(isFormer));
    }),
  );
  return { places, endpoints, former };
}

/** One line for each host that still tells of peers that were replaced long ago. */
function formerProblems({ former }: Truth, justReplaced: ReadonlySet<string>): string[] {
  return [...former].flatMap(([host, rows]) => {
    const old = rows.filter(({ vtep }) => !justReplaced.has(vtep));
    const vteps = [...new Set(old.map(({ vtep }) => vtep))].join();
    return old.length === 0
      ? []
      : [`${host} tells ${old.length} rows of removed peers at ${vteps}`];
  });
}

/** Every host's table holds exactly what runs, each address once. */
function tableProblems(world: World, { places, endpoints }: Truth): string[] {
  const problems: string[] = [];
  const real = new Set<string>();
  const owners = new Map<string, string>();
  for (const [host, list] of places) {
    for (const { network, name, ip } of list) {
      real.add(`${network} ${name} ${ip} on ${world.mesh.address(host)}`);
      const other = owners.get(ip);
      if (other !== undefined)
        problems.push(`address ${ip} twice: ${other} and ${name} on ${host}`);
      owners.set(ip, `${name} on ${host}`);
    }
  }
  for (const [host, rows] of endpoints) {
    const told = new Set(rows.map((row) => `${row.network} ${row.name} ${row.ip} on ${row.vtep}`));
    for (const one of real) if (!told.has(one)) problems.push(`${host} lacks ${one}`);
    for (const one of told) if (!real.has(one)) problems.push(`${host} still has ${one}`);
    for (const { name, state, network } of rows) {
      if (state !== "alive") problems.push(`${host}: ${name} on ${network} is ${state}`);
    }
    if (rows.some(({ network }) => !NETWORKS.includes(network))) {
      problems.push(`${host} has endpoints of unknown networks`);
    }
  }
  return problems;
}
