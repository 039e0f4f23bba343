/**
 * Removal of every namespace and device that tsweave made on this host.
 *
 * Law: only names that this product gives are touched: namespaces `tsweave-` with ten digits of a
 * network's id, container ends `tswc` with seven of an endpoint's, and what leads attachments
 * outside.
 */
import { GUARD_TABLE } from "../guard.ts";
import { TRAFFIC_TABLE } from "../traffic.ts";
import { removeDirect } from "./direct-host.ts";
import { run } from "./exec.ts";
import { removeGuard } from "./host-guard.ts";
import { removeTraffic } from "./host-traffic.ts";
import { withdrawGateway } from "./namespaces.ts";

const NETNS = /^tsweave-[0-9a-f]{10}$/;
/** Container ends, ends of pairs to tsweave_gw, and the bridge itself. */
const DEVICE = /^(tsw[cg][0-9a-f]{7}|tsweave_gw)$/;

/** Resolves with what was removed, in words. @throws TsweaveError COMMAND_FAILED */
export async function wipeKernel(): Promise<string[]> {
  const removed: string[] = [];
  const namespaces = await listed(["ip", "-j", "netns", "list"], "name", NETNS);
  for (const name of namespaces) {
    // The devices go with the last process inside; without any, at once.
    await run(["ip", "-n", name, "link", "del", "vxlan0"], { tolerant: true });
    await run(["ip", "-n", name, "link", "del", "br0"], { tolerant: true });
    await run(["ip", "netns", "del", name]);
    removed.push(`namespace ${name}`);
  }
  for (const device of await listed(["ip", "-j", "link", "show"], "ifname", DEVICE)) {
    await run(["ip", "link", "del", device], { tolerant: true });
    removed.push(`device ${device}`);
  }
  if (await withdrawGateway()) removed.push("NAT of tsweave_gw");
  removed.push(...(await removeDirect()));
  if (await removeGuard()) removed.push(`nft table ${GUARD_TABLE}`);
  if (await removeTraffic()) removed.push(`nft table ${TRAFFIC_TABLE}`);
  return removed;
}

/** The overlay namespaces with an endpoint plugged in. @throws TsweaveError COMMAND_FAILED */
export async function usedNamespaces(): Promise<string[]> {
  const used: string[] = [];
  for (const name of await listed(["ip", "-j", "netns", "list"], "name", NETNS)) {
    const ends = ["ip", "-n", name, "-j", "link", "show", "type", "veth"];
    if ((await listed(ends, "ifname", /./)).length > 0) used.push(name);
  }
  return used;
}

async function listed(argv: readonly string[], field: string, shape: RegExp): Promise<string[]> {
  const { stdout } = await run(argv);
  const rows: unknown = stdout.trim() === "" ? [] : JSON.parse(stdout);
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: Record<string, unknown>) => {
    const name = row[field];
    return typeof name === "string" && shape.test(name) ? [name] : [];
  });
}
