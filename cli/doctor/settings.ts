/** Firewall, sysctls and disk: what the host's administrator has set. */

import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { isRecord } from "../control/error-body.ts";
import { type Finding, findings } from "./finding.ts";
import { type Host, tool } from "./host.ts";

const BUFFER_BYTES = 4 * 1024 * 1024;
const FREE_SHARE_MIN = 0.05;
const FILTERS = ["iptables", "ip6tables", "arptables"];

/** Whether packets from peers and of the data path may come in. */
export async function checkFirewall({ config }: Host): Promise<Finding[]> {
  const { ok, warn } = findings("firewall");
  const ports = `UDP ${config.vxlanPort}, and UDP and TCP ${config.port}`;
  const found: Finding[] = [];
  const firewalld = await tool(["firewall-cmd", "--state"]);
  if (firewalld.code === 0) {
    const flags = [`${config.port}/tcp`, `${config.port}/udp`, `${config.vxlanPort}/udp`];
    const add = flags.map((flag) => `--add-port=${flag}`).join(" ");
    const open = (await tool(["firewall-cmd", "--list-ports"])).out.split(/\s+/);
    if (!flags.every((flag) => open.includes(flag))) {
      const next = `firewall-cmd --permanent ${add} && firewall-cmd --reload`;
      found.push(warn(`firewalld runs and does not name ${ports} in its default zone`, next));
    }
  }
  const { out, code } = await tool(["nft", "-j", "list", "chains"]);
  if (code !== 0) return [...found, warn("the firewall cannot be read", "nft list chains")];
  const dropping = droppingChains(out, "input");
  for (const chain of dropping) {
    const rules = (await tool(["nft", "list", "chain", ...chain.split(" ")])).out;
    const named = [config.port, config.vxlanPort].every((port) => rules.includes(String(port)));
    if (named) continue;
    const next = `let ${ports} in from the other hosts`;
    found.push(warn(`chain ${chain} drops what no rule accepts`, next));
  }
  return found.length > 0 ? found : [ok(`nothing seen that would drop ${ports}`)];
}

/** Base chains on a hook with policy drop, as `family table chain`. */
export function droppingChains(json: string, hook: string): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return []; // No ruleset at all prints nothing.
  }
  const rows = isRecord(parsed) && Array.isArray(parsed.nftables) ? parsed.nftables : [];
  return rows.flatMap((row: unknown) => {
    const chain = isRecord(row) && isRecord(row.chain) ? row.chain : {};
    if (chain.hook !== hook || chain.policy !== "drop") return [];
    return [`${chain.family} ${chain.table} ${chain.name}`];
  });
}

/** Forwarding, receive buffers, and br_netfilter in our own namespaces. */
export async function checkSysctls(): Promise<Finding[]> {
  const { ok, warn } = findings("sysctl");
  const found: Finding[] = [];
  if ((await sysctl("net/ipv4/ip_forward")) === "0") {
    const text = "net.ipv4.ip_forward is 0: containers do not reach the outside";
    found.push(warn(text, "sysctl -w net.ipv4.ip_forward=1, or start Docker, which sets it"));
  }
  const buffer = Number((await sysctl("net/core/rmem_max")) ?? BUFFER_BYTES);
  if (buffer < BUFFER_BYTES / 16) {
    const text = `net.core.rmem_max is ${buffer}: bursts from hundreds of peers may be lost`;
    found.push(warn(text, `sysctl -w net.core.rmem_max=${BUFFER_BYTES}`));
  }
  for (const netns of await ownNamespaces()) {
    const script = FILTERS.map((name) => `/proc/sys/net/bridge/bridge-nf-call-${name}`);
    const { out } = await tool(["ip", "netns", "exec", netns, "cat", ...script]);
    if (!out.split("\n").includes("1")) continue;
    const repair = { what: `bridge-nf-call off in ${netns}`, run: () => filtersOff(netns) };
    const next = "tsweave doctor --fix, or the daemon's next pass";
    found.push(warn(`frames in ${netns} go through the host's iptables`, next, repair));
  }
  return found.length > 0 ? found : [ok("forwarding and buffers are as they should be")];
}

/** Room for the state and the log. */
export async function checkDisk({ config }: Host): Promise<Finding[]> {
  const { ok, fail } = findings("disk");
  const path = nearest(config.stateDir);
  const { bavail, blocks, bsize } = await statfs(path);
  const free = `${Math.round((bavail * bsize) / 2 ** 20)} MiB free for ${config.stateDir}`;
  if (blocks === 0 || bavail / blocks >= FREE_SHARE_MIN) return [ok(free)];
  return [fail(`only ${free}`, `free space on the file system of ${path}`)];
}

/** Names of this product's overlay namespaces. */
export async function ownNamespaces(): Promise<string[]> {
  const { out } = await tool(["ip", "netns", "list"]);
  return [...out.matchAll(/^(tsweave-[0-9a-f]{10})\b/gm)].map(([, name = ""]) => name);
}

async function filtersOff(netns: string): Promise<void> {
  const script = FILTERS.map((name) => `echo 0 > /proc/sys/net/bridge/bridge-nf-call-${name}`);
  const { code, err } = await tool(["ip", "netns", "exec", netns, "sh", "-c", script.join(" && ")]);
  if (code !== 0) throw new Error(err.trim());
}

async function sysctl(path: string): Promise<string | undefined> {
  const text = await readFile(`/proc/sys/${path}`, "utf8").catch(() => undefined);
  return text?.trim();
}

function nearest(path: string): string {
  return existsSync(path) || path === "/" ? path : nearest(dirname(path));
}
