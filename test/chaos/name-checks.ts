/**
 * Every running container by name and address, no dead one by name: from a host's watcher, and of
 * the networks that it is not on from one container of each.
 */
import { addressesIn } from "./observe.ts";
import { GROUPS } from "./plan.ts";
import type { Truth } from "./quiet.ts";
import { type Place, type World, watcher } from "./world.ts";

/** Who has which name on these networks: container names and aliases. */
export function expectedNames(
  places: readonly Pick<Place, "name" | "network" | "ip" | "aliases">[],
  networks: ReadonlySet<string>,
): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const { name, ip, network, aliases } of places) {
    if (!networks.has(network)) continue;
    for (const one of new Set([name, ...aliases])) {
      const ips = names.get(one) ?? new Set();
      names.set(one, ips.add(ip));
    }
  }
  return names;
}

/** Whom to ask on a host: its watcher, and of each group one member. */
function askersOf(here: readonly Place[], host: string): string[] {
  const members = GROUPS.flatMap(
    (group) => here.find(({ network }) => network === group)?.name ?? [],
  );
  return [watcher(host), ...new Set(members)];
}

/** What containers of this host do not find, or find that is not there. */
export async function nameProblems(
  world: World,
  host: string,
  truth: Truth,
  dead: ReadonlySet<string>,
): Promise<string[]> {
  const here = truth.places.get(host) ?? [];
  const all = [...truth.places.values()].flat();
  const problems: string[] = [];
  for (const asker of askersOf(here, host)) {
    const networks = new Set(
      here.filter(({ name }) => name === asker).map(({ network }) => network),
    );
    const expected = expectedNames(all, networks);
    const ips = new Set(all.filter(({ network }) => networks.has(network)).map(({ ip }) => ip));
    problems.push(...(await askedProblems(world, { host, asker }, { expected, ips, dead })));
  }
  return problems;
}

interface Expected {
  readonly expected: ReadonlyMap<string, ReadonlySet<string>>;
  readonly ips: ReadonlySet<string>;
  readonly dead: ReadonlySet<string>;
}

async function askedProblems(
  world: World,
  { host, asker }: { readonly host: string; readonly asker: string },
  { expected, ips, dead }: Expected,
): Promise<string[]> {
  const gone = [...dead].filter((name) => !expected.has(name)).slice(-12);
  const asked = [...[...expected.keys()].filter((name) => !/^[0-9a-f]{12}$/.test(name)), ...gone];
  const script = `for n in ${asked.join(" ")}; do echo "== $n"; nslookup -type=a $n. 2>&1; done
    for a in ${[...ips].join(" ")}; do ping -c1 -W2 -q $a > /dev/null || echo "!! $a" & done; wait`;
  const argv = ["docker", "exec", asker, "sh", "-c", script];
  const { stdout, stderr, code } = await world.mesh.exec(host, argv, 60_000);
  if (code !== 0 && !stdout.includes("== ")) {
    return [`${host}: docker exec ${asker}: ${stderr.trim()}`];
  }
  const problems = [...stdout.matchAll(/^!! ([\d.]+)$/gm)].map(
    ([, ip]) => `${host}: no ping from ${asker} to ${ip}`,
  );
  for (const part of stdout.split(/^== /m).slice(1)) {
    const name = part.slice(0, part.indexOf("\n"));
    const found = addressesIn(part.replace(/^!! .*$/gm, "")).join(" ");
    const wanted = [...(expected.get(name) ?? [])].sort().join(" ");
    if (found !== wanted) {
      const what = `${wanted === "" ? "dead name " : ""}${name}`;
      problems.push(
        `${host}: ${what} is ${found || "nothing"} in ${asker}, not ${wanted || "none"}`,
      );
    }
  }
  return problems;
}
