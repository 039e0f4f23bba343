/** Every published port, asked from another host: it answers with its own container. */
import type { World } from "./world.ts";

/** What the ports that this host's containers have published do not answer to the next host. */
export async function portProblems(world: World, host: string): Promise<string[]> {
  const published = await world.published(host);
  if (published.length === 0) return [];
  const from = world.hosts[(world.hosts.indexOf(host) + 1) % world.hosts.length] ?? host;
  const address = world.mesh.address(host);
  const get = `timeout 3 busybox wget -q -O - http://${address}:$p/ 2>&1 | head -c 200`;
  const script = `for p in "$@"; do (echo "$p $(${get})") & done; wait`;
  const ports = published.map(({ port }) => String(port));
  const { stdout } = await world.mesh.exec(from, ["sh", "-c", script, "sh", ...ports], 30_000);
  const answers = new Map(
    [...stdout.matchAll(/^(\d+) (.*)$/gm)].map(([, port, text]) => [Number(port), text]),
  );
  return published.flatMap(({ id, name, port }) => {
    const answer = answers.get(port) ?? "";
    if (answer === id) return [];
    const what = `port ${port} of ${host}, published by ${name}`;
    return [`${from}: ${what}, answers ${answer === "" ? "nothing" : answer}, not ${id}`];
  });
}
