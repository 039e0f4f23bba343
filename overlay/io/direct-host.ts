/**
 * The direct path's devices and tables in the host's namespace.
 *
 * Law: only devices and tables named by us are made, changed or removed; the host's own devices,
 * routes and neighbours are read, never written.
 */

import { type DirectNetwork, hostEnd, type Segment } from "../direct/model.ts";
import { lookLines, readSegment } from "../direct/segment.ts";
import {
  DIRECT_TABLE,
  FORGED_TABLE,
  goneText,
  PROBE_END,
  PROBE_SOURCE,
  PROBE_TABLE,
  PROBE_WAY,
} from "../direct/table.ts";
import { BRIDGE, DIRECT } from "../state.ts";
import { run } from "./exec.ts";

/** What leaves is as large as br0 lets pass; a pair that is larger never has to follow it. */
const MTU_BYTES_MAX = 65_535;
const HOST_END = /^tswd[0-9a-f]{10}$/;

/** What DirectPaths needs of the host. */
export interface DirectHost {
  look(vteps: readonly string[]): Promise<Segment>;
  makeProbeEnds(): Promise<void>;
  makeWay(network: DirectNetwork): Promise<void>;
  apply(script: string): Promise<void>;
  /** Whether all tables are there; a firewall that is loaded anew may flush them. */
  hasTables(): Promise<boolean>;
}

export class LinuxDirectHost implements DirectHost {
  readonly #prefix: readonly string[];
  readonly #hostNetns: string;

  /**
   * `hostNetns`: path or name by which `ip` finds the host's namespace from inside another one;
   * `prefix`: words before commands, to work in another namespace than this process's.
   */
  constructor(hostNetns = `/proc/${process.pid}/ns/net`, prefix: readonly string[] = []) {
    this.#hostNetns = hostNetns;
    this.#prefix = prefix;
  }

  /** @throws TsweaveError TOOL_MISSING, TIMED_OUT */
  async look(vteps: readonly string[]): Promise<Segment> {
    const input = `${lookLines(vteps).join("\n")}\n`;
    const argv = [...this.#prefix, "ip", "-j", "-d", "-force", "-batch", "-"];
    const { stdout } = await run(argv, { input, tolerant: true });
    return readSegment(stdout, vteps);
  }

  /** The pair through which probes go. @throws TsweaveError COMMAND_FAILED */
  async makeProbeEnds(): Promise<void> {
    await this.#tolerant([], [`link add ${PROBE_END} type veth peer name ${PROBE_WAY}`]);
    await this.#tolerant([], [PROBE_END, PROBE_WAY].map(withoutIpv6));
    await this.#strict(
      [],
      [
        `link set dev ${PROBE_END} arp off up`,
        `link set dev ${PROBE_WAY} up`,
        `addr replace ${PROBE_SOURCE}/16 dev ${PROBE_END}`,
      ],
    );
  }

  /** gw0 in the overlay namespace with its host end; nothing leaves by it but what is steered. */
  async makeWay({ netns }: DirectNetwork): Promise<void> {
    const inside = ["-n", netns];
    const device = hostEnd(netns);
    const peer = `peer name ${device} mtu ${MTU_BYTES_MAX} netns ${this.#hostNetns}`;
    await this.#tolerant(inside, [`link del dev ${DIRECT}`]);
    await this.#strict(inside, [`link add ${DIRECT} mtu ${MTU_BYTES_MAX} type veth ${peer}`]);
    await this.#tolerant(inside, [withoutIpv6(DIRECT)]);
    await this.#tolerant([], [withoutIpv6(device)]);
    await this.#strict(inside, [
      `link set dev ${DIRECT} master ${BRIDGE}`,
      `link set dev ${DIRECT} type bridge_slave learning off flood off mcast_flood off ` +
        "bcast_flood off mcast_router 0",
      `link set dev ${DIRECT} up`,
    ]);
    await this.#strict([], [`link set dev ${device} up`]);
  }

  /** Runs a script; all of it or nothing. @throws TsweaveError COMMAND_FAILED */
  async apply(script: string): Promise<void> {
    await run([...this.#prefix, "nft", "-f", "-"], { input: script });
  }

  async hasTables(): Promise<boolean> {
    const { stdout } = await run([...this.#prefix, "nft", "list", "tables"], { tolerant: true });
    const listed = new Set(stdout.split("\n"));
    return [DIRECT_TABLE, PROBE_TABLE].every((table) => listed.has(`table ${table}`));
  }

  /** Lines that may find their work done, or nothing to do. */
  async #tolerant(options: readonly string[], lines: readonly string[]): Promise<void> {
    await run(this.#argv([...options, "-force"]), {
      input: `${lines.join("\n")}\n`,
      tolerant: true,
    });
  }

  async #strict(options: readonly string[], lines: readonly string[]): Promise<void> {
    await run(this.#argv(options), { input: `${lines.join("\n")}\n` });
  }

  /** Words of `ip` in the host's namespace, or where `-n` says. */
  #argv(options: readonly string[]): string[] {
    const where = options.includes("-n") ? [] : this.#prefix;
    return [...where, "ip", ...options, "-batch", "-"];
  }
}

/** Without IPv6 on the device; a kernel that has none refuses the word. */
function withoutIpv6(device: string): string {
  return `link set dev ${device} addrgenmode none`;
}

/** Takes away this host's readiness to be probed: peers go back to the tunnels by themselves. */
export async function endProbes(prefix: readonly string[] = []): Promise<void> {
  await run([...prefix, "nft", "-f", "-"], { input: goneText(PROBE_TABLE) });
}

/** Whether a direct path's tables are in the host's namespace. */
export async function hasDirect(prefix: readonly string[] = []): Promise<boolean> {
  const list = [...prefix, "nft", "list", "table", ...DIRECT_TABLE.split(" ")];
  return (await run(list, { tolerant: true })).exitCode === 0;
}

/** Removes all tables and devices of direct paths; in words what there was. */
export async function removeDirect(prefix: readonly string[] = []): Promise<string[]> {
  const removed: string[] = [];
  for (const table of [PROBE_TABLE, DIRECT_TABLE, FORGED_TABLE]) {
    const list = [...prefix, "nft", "list", "table", ...table.split(" ")];
    if ((await run(list, { tolerant: true })).exitCode !== 0) continue;
    await run([...prefix, "nft", "-f", "-"], { input: goneText(table) });
    removed.push(`nft table ${table}`);
  }
  const { stdout } = await run([...prefix, "ip", "-j", "link", "show", "type", "veth"]);
  const links: unknown = stdout.trim() === "" ? [] : JSON.parse(stdout);
  for (const { ifname } of Array.isArray(links) ? (links as { ifname?: unknown }[]) : []) {
    if (typeof ifname !== "string" || !(HOST_END.test(ifname) || ifname === PROBE_END)) continue;
    await run([...prefix, "ip", "link", "del", "dev", ifname], { tolerant: true });
    removed.push(`device ${ifname}`);
  }
  return removed;
}
