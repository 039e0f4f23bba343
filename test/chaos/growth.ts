/** Memory, descriptors and state on disk of the daemons over the quiet points of a run. */
import { STATE, type World } from "./world.ts";

const RSS_GROWTH_MIB = 60;
/** One look may come just before the garbage collector; what so many show in a row is there. */
const RSS_LOOKS = 3;
/** Sockets of names and monitors come with containers; what else there is stays. */
const FDS_PER_SANDBOX = 6;
/** An `ip` and a `bridge` that stay open in each of four networks, and one in the host. */
const FDS_OF_TOOLS = 2 * 9;
const FDS_GROWTH = 12 + FDS_OF_TOOLS;
/** Journals grow to a bound before they are written anew. */
const STATE_GROWTH_KIB = 1024;

interface Size {
  readonly rssMib: number;
  readonly fds: number;
  /** Journals and snapshots, without logs. */
  readonly stateKib: number;
  readonly containers: number;
}

export class Growth {
  /** BOUNDED: RSS_LOOKS and the first of each life of a daemon. */
  readonly #lives = new Map<string, Size[]>();

  /** Measures every daemon; what grew beyond the bounds, and a line to show. */
  async measure(world: World): Promise<{ violations: string[]; line: string }> {
    const violations: string[] = [];
    const parts: string[] = [];
    for (const host of world.hosts) {
      const pid = await world.daemonPid(host);
      if (pid === undefined) continue;
      const size = await sizeOf(world, host, pid);
      const { rssMib, fds, stateKib, containers } = size;
      parts.push(`${host} ${rssMib} MiB ${fds} fds ${stateKib} KiB ${containers} containers`);
      const life = `${host} ${pid}`;
      const sizes = [...(this.#lives.get(life) ?? []), size];
      if (sizes.length > RSS_LOOKS + 1) sizes.splice(1, 1);
      this.#lives.set(life, sizes);
      violations.push(...growthOf(sizes).map((text) => `${host}: daemon ${text}`));
    }
    return { violations, line: parts.join("; ") };
  }
}

/** What grew beyond the bounds in one life of a daemon: its first size, then its last few. */
export function growthOf(sizes: readonly Size[]): string[] {
  const found: string[] = [];
  const [first, ...later] = sizes;
  const last = later.at(-1);
  if (first === undefined || last === undefined) return found;
  const least = Math.min(...later.map(({ rssMib }) => rssMib));
  if (later.length >= RSS_LOOKS && least - first.rssMib > RSS_GROWTH_MIB) {
    found.push(`grew from ${first.rssMib} to ${least} MiB and more`);
  }
  const leastKib = Math.min(...later.map(({ stateKib }) => stateKib));
  if (later.length >= RSS_LOOKS && leastKib - first.stateKib > STATE_GROWTH_KIB) {
    found.push(`had ${first.stateKib} KiB of state and has ${leastKib} and more`);
  }
  const more = Math.max(0, last.containers - first.containers) * FDS_PER_SANDBOX;
  if (last.fds - first.fds > FDS_GROWTH + more) {
    found.push(`had ${first.fds} and has ${last.fds} descriptors`);
  }
  return found;
}

async function sizeOf(world: World, host: string, pid: number): Promise<Size> {
  const script = `grep VmRSS /proc/${pid}/status; ls /proc/${pid}/fd | wc -l;
    du -sk --exclude='*.log*' ${STATE}`;
  const text = await world.mesh.ok(host, ["sh", "-c", script]);
  const [rssKib = 0, fds = 0, stateKib = 0] = [...text.matchAll(/\d+/g)].map(Number);
  const containers = (await world.running(host))?.length ?? 0;
  return { rssMib: Math.round(rssKib / 1024), fds, stateKib, containers };
}
