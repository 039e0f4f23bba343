/**
 * The MTU of container ends inside the containers' own namespaces, where no batch of ours reaches.
 *
 * Law: only a veth with the endpoint's own MAC is touched; an MTU that somebody in the container
 * chose smaller stays. Nothing here keeps a namespace alive.
 */
import { type Log, messageOf } from "../../mesh/index.ts";
import { run } from "./exec.ts";

/** A container's end, and what its MTU is to become. */
export interface EndMtu {
  /** Path of the namespace. */
  readonly path: string;
  readonly mac: string;
  /** The network's MTU before: an end that has it is raised, others are only lowered. */
  readonly beforeBytes: number;
  readonly mtuBytes: number;
}

interface LinkRow {
  readonly ifname?: string;
  readonly address?: string;
  readonly mtu?: number;
}

const AT_ONCE = 4;
const DEADLINE_MS = 3000;

/** Sets what differs; resolves with how many were set. A namespace that is gone is passed over. */
export async function alignEnds(ends: readonly EndMtu[], log: Log): Promise<number> {
  const byPath = new Map<string, EndMtu[]>();
  for (const end of ends) byPath.set(end.path, [...(byPath.get(end.path) ?? []), end]);
  const waiting = [...byPath];
  let set = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      try {
        set += await alignPath(...next);
      } catch (error) {
        log.info({ path: next[0], reason: messageOf(error) }, "MTU of a container not changed");
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return set;
}

async function alignPath(path: string, ends: readonly EndMtu[]): Promise<number> {
  const enter = ["nsenter", `--net=${path}`, "ip"];
  const { stdout } = await run([...enter, "-j", "link", "show", "type", "veth"], {
    timeoutMs: DEADLINE_MS,
  });
  const links: LinkRow[] = stdout.trim() === "" ? [] : JSON.parse(stdout);
  const lines = ends.flatMap(({ mac, beforeBytes, mtuBytes }) => {
    const link = links.find(({ address }) => address === mac);
    if (link?.ifname === undefined || link.mtu === undefined || link.mtu === mtuBytes) return [];
    const isOurs = link.mtu > mtuBytes || link.mtu === beforeBytes;
    return isOurs ? [`link set dev ${link.ifname} mtu ${mtuBytes}`] : [];
  });
  if (lines.length === 0) return 0;
  const input = `${lines.join("\n")}\n`;
  await run([...enter, "-batch", "-"], { input, timeoutMs: DEADLINE_MS });
  return lines.length;
}
