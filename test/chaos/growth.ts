/** Memory and descriptors of the daemons over the quiet points of a run. */
import type { World } from "./world.ts";

const RSS_GROWTH_MIB = 60;
/** Sockets of names and monitors come with containers; what else there is stays. */
const FDS_PER_SANDBOX = 6;
const FDS_GROWTH = 12;

interface Size {
  readonly rssMib: number;
  readonly fds: number;
  readonly containers: number;
}

export class Growth {
  /** BOUNDED: one for each life of a daemon. The first size of each. */
  readonly #first = new Map<string, Size>();

  /** Measures every daemon; what grew beyond the bounds, and a line to show. */
  async measure(world: World): Promise<{ violations: string[]; line: string }> {
    const violations: string[] = [];
    const parts: string[] = [];
    for (const host of world.hosts) {
      const pid = await world.daemonPid(host);
      if (pid === undefined) continue;
      const size = await sizeOf(world, host, pid);
      parts.push(`${host} ${size.rssMib} MiB ${size.fds} fds ${size.containers} containers`);
      const life = `${host} ${pid}`;
      const first = this.#first.get(life);
      if (first === undefined) {
        this.#first.set(life, size);
        continue;
      }
      if (size.rssMib - first.rssMib > RSS_GROWTH_MIB) {
        violations.push(`${host}: daemon grew from ${first.rssMib} to ${size.rssMib} MiB`);
      }
      const more = Math.max(0, size.containers - first.containers) * FDS_PER_SANDBOX;
      if (size.fds - first.fds > FDS_GROWTH + more) {
        violations.push(`${host}: daemon had ${first.fds} and has ${size.fds} descriptors`);
      }
    }
    return { violations, line: parts.join("; ") };
  }
}

async function sizeOf(world: World, host: string, pid: number): Promise<Size> {
  const script = `grep VmRSS /proc/${pid}/status; ls /proc/${pid}/fd | wc -l`;
  const text = await world.mesh.ok(host, ["sh", "-c", script]);
  const [rssKib = 0, fds = 0] = [...text.matchAll(/\d+/g)].map(Number);
  const containers = (await world.running(host))?.length ?? 0;
  return { rssMib: Math.round(rssKib / 1024), fds, containers };
}
