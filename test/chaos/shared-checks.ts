/** What all hosts must tell alike: which networks there are, and who owns which addresses. */
import type { NetworkRow, PoolRow, Status } from "../../cli/control/api.ts";
import type { World } from "./world.ts";

/** By host. */
type Views<T> = ReadonlyMap<string, T>;

async function viewsOf<T>(world: World, look: (host: string) => Promise<T>): Promise<Views<T>> {
  return new Map(
    await Promise.all(world.hosts.map(async (host) => [host, await look(host)] as const)),
  );
}

/** Networks of the tables, of every engine, and what is in conflict about them. */
export async function networkProblems(world: World): Promise<string[]> {
  const tables = await viewsOf(world, async (host) => {
    const path = "/v1/status/networks";
    return (await world.control<{ networks: NetworkRow[] }>(host, path)).networks;
  });
  const format = ["-f", "driver=tsweave", "--format", "{{.Name}}"];
  const engines = await viewsOf(world, async (host) => {
    const names = await world.mesh.docker(host, "network", "ls", ...format);
    return names.split("\n").filter((name) => name !== "");
  });
  return networkDifferences(tables, engines);
}

/** The same networks with the same numbers everywhere, on every engine, without a conflict. */
export function networkDifferences(
  tables: Views<readonly Pick<NetworkRow, "name" | "subnet" | "vni" | "present" | "conflicts">[]>,
  engines: Views<readonly string[]>,
): string[] {
  const problems: string[] = [];
  const text = (host: string): string =>
    (tables.get(host) ?? [])
      .map(({ name, subnet, vni }) => `${name} ${subnet} ${vni}`)
      .sort()
      .join(", ");
  const [first = ""] = tables.keys();
  const hosts = [...tables.keys()].sort().join();
  for (const [host, rows] of tables) {
    if (text(host) !== text(first)) {
      problems.push(`${host} has networks ${text(host)}, ${first} has ${text(first)}`);
    }
    for (const { name, present, conflicts } of rows) {
      problems.push(...conflicts.map((one) => `${host}: network ${name}: ${one}`));
      // A replaced host's former peer has the same name, and is told for a while.
      const told = [...new Set(present)].sort().join();
      if (told !== hosts) problems.push(`${host}: network ${name} is on ${told}, not ${hosts}`);
    }
    const wanted = rows
      .map(({ name }) => name)
      .sort()
      .join();
    const found = [...(engines.get(host) ?? [])].sort().join();
    if (found !== wanted) problems.push(`${host}: the engine has networks ${found}, not ${wanted}`);
  }
  return problems;
}

/** Pools as every host tells them. */
export async function ownerProblems(world: World): Promise<string[]> {
  const views = await viewsOf(world, async (host) => {
    return (await world.control<{ pools: PoolRow[] }>(host, "/v1/status/ipam")).pools;
  });
  return ownerDifferences(views);
}

/** Ranges with two owners, owners that are not here, and hosts that tell it differently. */
export function ownerDifferences(
  views: Views<readonly Pick<PoolRow, "subnet" | "owned" | "conflicts">[]>,
): string[] {
  const problems: string[] = [];
  const [first = ""] = views.keys();
  const texts = new Map<string, string>();
  for (const [host, pools] of views) {
    for (const { subnet, owned, conflicts } of pools) {
      const ranges = owned.flatMap(({ peer, ranges: own }) =>
        own.map((range) => ({ peer, range, ends: endsOf(range) })),
      );
      ranges.sort((a, b) => a.ends[0] - b.ends[0]);
      texts.set(`${host} ${subnet}`, ranges.map(({ peer, range }) => `${peer} ${range}`).join());
      ranges.forEach((one, at) => {
        const next = ranges[at + 1];
        if (next === undefined || next.ends[0] > one.ends[1]) return;
        const both = `${one.peer} ${one.range} and ${next.peer} ${next.range}`;
        problems.push(`${host}: ${subnet} has two owners: ${both}`);
      });
      for (const { peer, reachable } of owned) {
        if (!reachable) problems.push(`${host}: ${subnet}: the owner ${peer} is not reachable`);
      }
      for (const { ip, owner } of conflicts) {
        problems.push(`${host}: ${ip} is in use here and belongs to ${owner}`);
      }
      const told = texts.get(`${host} ${subnet}`);
      const wanted = texts.get(`${first} ${subnet}`);
      if (wanted !== undefined && told !== wanted) {
        problems.push(`${subnet}: ${host} says ${told}; ${first} says ${wanted}`);
      }
    }
  }
  return problems;
}

/** First and last address of `first-last` or of one address, as numbers. */
function endsOf(range: string): [number, number] {
  const [first = "", last = first] = range.split("-");
  const number = (ip: string): number =>
    ip.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return [number(first), number(last)];
}

/** Does what NETWORK_KEPT asks of people: ends what runs on a network that the mesh has removed. */
export async function endKept(world: World): Promise<void> {
  for (const host of world.hosts) {
    const { health } = await world.control<Status>(host, "/v1/status");
    for (const { code, text } of health.problems) {
      const network = code === "NETWORK_KEPT" ? /\b(g\d+) was removed/.exec(text)?.[1] : undefined;
      if (network === undefined) continue;
      const script = `docker ps -aq --filter network=${network} | xargs -r docker rm -f`;
      await world.mesh.ok(host, ["sh", "-c", script], 60_000);
    }
  }
}
