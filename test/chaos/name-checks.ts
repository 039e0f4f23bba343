/** Every running container by name and address, no dead one by name, from a host's watcher. */
import { addressesIn } from "./observe.ts";
import type { Truth } from "./quiet.ts";
import { type World, watcher } from "./world.ts";

/** Who has which name: container names and aliases. A watcher is on all networks and sees all. */
function expectedNames(truth: Truth): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const { name, ip, aliases } of [...truth.places.values()].flat()) {
    for (const one of new Set([name, ...aliases])) {
      const ips = names.get(one) ?? new Set();
      names.set(one, ips.add(ip));
    }
  }
  return names;
}

/** What a container of this host does not find, or finds that is not there. */
export async function nameProblems(
  world: World,
  host: string,
  truth: Truth,
  dead: ReadonlySet<string>,
): Promise<string[]> {
  const expected = expectedNames(truth);
  const gone = [...dead].filter((name) => !expected.has(name)).slice(-12);
  const asked = [...[...expected.keys()].filter((name) => !/^[0-9a-f]{12}$/.test(name)), ...gone];
  const ips = new Set([...truth.places.values()].flat().map(({ ip }) => ip));
  const script = `for n in ${asked.join(" ")}; do echo "== $n"; nslookup -type=a $n. 2>&1; done
    for a in ${[...ips].join(" ")}; do ping -c1 -W2 -q $a > /dev/null || echo "!! $a" & done; wait`;
  const argv = ["docker", "exec", watcher(host), "sh", "-c", script];
  const { stdout, stderr, code } = await world.mesh.exec(host, argv, 60_000);
  if (code !== 0 && !stdout.includes("== ")) return [`${host}: docker exec: ${stderr.trim()}`];
  const problems = [...stdout.matchAll(/^!! ([\d.]+)$/gm)].map(
    ([, ip]) => `${host}: no ping from ${watcher(host)} to ${ip}`,
  );
  for (const part of stdout.split(/^== /m).slice(1)) {
    const name = part.slice(0, part.indexOf("\n"));
    const found = addressesIn(part.replace(/^!! .*$/gm, "")).join(" ");
    const wanted = [...(expected.get(name) ?? [])].sort().join(" ");
    if (found !== wanted) {
      const isDead = wanted === "" ? "dead name " : "";
      problems.push(`${host}: ${isDead}${name} is ${found || "nothing"}, not ${wanted || "none"}`);
    }
  }
  return problems;
}
