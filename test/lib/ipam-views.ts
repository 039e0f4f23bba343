/** Who owns which addresses of a lab's mesh, as its hosts tell. */
import type { RosterStatus } from "../../ipalloc/index.ts";
import type { MeshHosts } from "./mesh-hosts.ts";

/** Small enough that a lost third hurts. */
export const RANGE = ["--ipalloc-range", "10.50.0.0/24"];

interface IpamJson {
  readonly pools: readonly {
    readonly subnet: string;
    readonly owned: readonly {
      readonly peer: string;
      readonly ranges: readonly string[];
      readonly addresses: number;
    }[];
  }[];
  readonly roster: RosterStatus;
}

export async function ipam(on: MeshHosts, host: string): Promise<IpamJson> {
  return await on.json<IpamJson>(host, "status", "ipam");
}

/** Ranges of the first pool by owner; the same text from every host that agrees. */
export async function owners(on: MeshHosts, host: string): Promise<string> {
  const { pools } = await ipam(on, host);
  return (pools[0]?.owned ?? [])
    .map(({ peer, ranges }) => `${peer} ${ranges.join(",")}`)
    .sort()
    .join("\n");
}

/** Runs containers one after another; their addresses. */
export async function fill(
  on: MeshHosts,
  host: string,
  names: readonly string[],
): Promise<string[]> {
  const ips: string[] = [];
  for (const name of names) ips.push(await on.web(host, name));
  return ips;
}

/** `a0`, `a1`, … */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
