/** The kernel of a host against the tables, and what may not be left over on it. */
import type { Truth } from "./quiet.ts";
import type { World } from "./world.ts";

interface Neighbour {
  readonly dst: string;
  readonly lladdr?: string;
}

interface Forward {
  readonly mac: string;
  readonly dst?: string;
}

interface Link {
  readonly ifname: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

/**
 * What differs between a host's kernel and its tables, and what nobody needs any more. Entries that
 * lead to an address of `replaced`, and those of rows of former peers, may be left over.
 */
export async function kernelProblems(
  world: Pick<World, "mesh">,
  host: string,
  truth: Truth,
  replaced: ReadonlySet<string>,
): Promise<string[]> {
  const json = async <T>(...argv: string[]): Promise<T> =>
    JSON.parse((await world.mesh.ok(host, argv)) || "[]") as T;
  const engine = await world.mesh.docker(
    ...([host, "network", "ls", "--no-trunc", "-f", "driver=tsweave"] as const),
    ...["--format", "{{.ID}} {{.Name}}"],
  );
  const networks = engine.split("\n").map((line) => line.split(" ") as [string, string]);
  const names = (await world.mesh.ok(host, ["ip", "netns", "list"])).split("\n");
  const named = names.flatMap((line) => /^tsweave-[0-9a-f]+/.exec(line)?.[0] ?? []);
  const expected = networks.map(([id]) => `tsweave-${id.slice(0, 10)}`);
  const problems = named
    .filter((ns) => !expected.includes(ns))
    .map((ns) => `${host}: namespace ${ns} belongs to no network`);
  for (const [id, network] of networks) {
    const ns = `tsweave-${id.slice(0, 10)}`;
    const rows = (truth.endpoints.get(host) ?? []).filter((row) => row.network === network);
    if (!named.includes(ns)) {
      if (rows.some(({ local }) => local)) {
        problems.push(`${host}: ${network} has endpoints and no namespace`);
      }
      continue;
    }
    const remote = rows.filter(({ local }) => !local);
    const neighbours = await json<Neighbour[]>(
      "ip",
      "-n",
      ns,
      "-j",
      "neigh",
      "show",
      "dev",
      "vxlan0",
    );
    const forwards = await json<Forward[]>(
      "bridge",
      "-n",
      ns,
      "-j",
      "fdb",
      "show",
      "dev",
      "vxlan0",
    );
    const links = await json<Link[]>("ip", "-n", ns, "-d", "-j", "link");
    const formerMacs = new Set((truth.former.get(host) ?? []).map(({ mac }) => mac));
    for (const { mac, dst } of forwards) {
      if (dst !== undefined && replaced.has(dst)) formerMacs.add(mac);
    }
    for (const { mac } of remote) formerMacs.delete(mac);
    problems.push(
      ...differences(`${host} ${network}: neighbour`, [
        remote.map(({ ip, mac }) => `${ip} ${mac}`),
        neighbours.flatMap(({ dst, lladdr }) =>
          formerMacs.has(lladdr ?? "") ? [] : [`${dst} ${lladdr}`],
        ),
      ]),
      ...differences(`${host} ${network}: forward`, [
        remote.map(({ mac, vtep }) => `${mac} ${vtep}`),
        forwards.flatMap(({ mac, dst }) =>
          dst === undefined || isGroup(mac) || formerMacs.has(mac) ? [] : [`${mac} ${dst}`],
        ),
      ]),
    );
    const veths = links.filter(({ ifname }) => ifname.startsWith("veth")).length;
    if (veths !== rows.length - remote.length) {
      problems.push(`${host} ${network}: ${veths} veths, ${rows.length - remote.length} endpoints`);
    }
  }
  return [...problems, ...(await leftovers(world, host))];
}

/** Of multicast and broadcast: who wants those is no matter of endpoints. */
function isGroup(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

function differences(what: string, [wanted, found]: [string[], string[]]): string[] {
  return [
    ...wanted.filter((one) => !found.includes(one)).map((one) => `${what} ${one} is missing`),
    ...found.filter((one) => !wanted.includes(one)).map((one) => `${what} ${one} is left over`),
  ];
}

/** Devices, processes and tables of the host itself. */
async function leftovers(world: Pick<World, "mesh">, host: string): Promise<string[]> {
  const problems: string[] = [];
  const links = await world.mesh.ok(host, ["ip", "-o", "link"]);
  for (const [name] of links.matchAll(/\btswc\w+/g)) problems.push(`${host}: device ${name} left`);
  const tables = await world.mesh.ok(host, ["nft", "list", "tables"]);
  if (!tables.includes("inet tsweave_guard")) problems.push(`${host}: no table tsweave_guard`);
  const ps = await world.mesh.ok(host, ["ps", "-eo", "pid=,ppid=,etimes=,stat=,args="]);
  const lines = ps.split("\n").filter((line) => line.trim() !== "");
  const daemons = lines.filter((line) => /tsweave\.js launch --foreground/.test(line));
  if (daemons.length !== 1) problems.push(`${host}: ${daemons.length} daemons run`);
  const daemon = daemons[0]?.trim().split(/\s+/)[0];
  for (const line of lines) {
    const [, ppid, age, stat, ...args] = line.trim().split(/\s+/);
    const text = args.join(" ");
    const isHelper = /\b(ip|bridge) .*monitor|\bperl\b/.test(text);
    if (isHelper && ppid !== daemon && Number(age) > 5) {
      problems.push(`${host}: helper outlived its daemon: ${text}`);
    }
    if (stat?.startsWith("Z") === true && ppid === daemon && Number(age) > 5) {
      problems.push(`${host}: the daemon does not reap ${text}`);
    }
  }
  return problems;
}
