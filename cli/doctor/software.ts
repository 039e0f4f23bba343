/** Kernel, tools and ports: what an overlay is made with. */

import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { release } from "node:os";
import { checkHost, subnetOverlaps } from "../../overlay/index.ts";
import { count } from "../render/human.ts";
import { type Finding, findings } from "./finding.ts";
import { type Host, tool } from "./host.ts";

const CODES: Readonly<Record<string, string>> = {
  TOOL_MISSING: "tools",
  KERNEL_LACKS: "kernel",
  NOT_ROOT: "kernel",
  PORT_IN_USE: "ports",
};

/** Kernel features and the VXLAN port by trying them out; tools and their versions. */
export async function checkSoftware({ config }: Host): Promise<Finding[]> {
  const problems = await checkHost({ vxlanPort: config.vxlanPort });
  const found = problems.map(({ code, message, hint }) =>
    findings(CODES[code] ?? "kernel").fail(message, hint ?? "see the manual"),
  );
  const codes = new Set(found.map(({ check }) => check));
  if (!codes.has("kernel") && !codes.has("tools")) {
    const text = `Linux ${release()}: bridge, veth and vxlan work`;
    found.unshift(findings("kernel").ok(text));
  }
  if (!codes.has("tools")) found.push(findings("tools").ok(await versions()));
  const nft = await tool(["nft", "list", "tables"]);
  if (nft.code !== 0 && !codes.has("tools")) {
    const text = `nft does not work: ${firstLine(nft.err)}`;
    found.push(findings("kernel").fail(text, "modprobe nf_tables"));
  }
  return found;
}

/** The gossip port is free, or the running daemon's. */
export async function checkPorts({ daemon, config }: Host): Promise<Finding[]> {
  const { ok, fail } = findings("ports");
  const { port } = config;
  const [tcp, udp] = [await tcpIsFree(port), await udpIsFree(port)];
  if (daemon !== undefined) {
    if (!tcp && !udp) return [ok(`${port} (UDP, TCP) and ${config.vxlanPort} (UDP) are ours`)];
    const text = `the daemon runs, yet nobody listens on ${udp ? "UDP" : "TCP"} ${port}`;
    return [fail(text, "tsweave logs --level warn")];
  }
  const taken = [...(tcp ? [] : ["TCP"]), ...(udp ? [] : ["UDP"])];
  if (taken.length === 0) return [ok(`${port} (UDP, TCP) is free`)];
  const next = `ss -tulnp 'sport = :${port}' shows by whom; or choose another with --port`;
  return [fail(`${taken.join(" and ")} port ${port} is taken by another program`, next)];
}

/** Routes and name servers of this host inside the containers' range, and of the peers'. */
export async function checkRange({ config, daemon }: Host): Promise<Finding[]> {
  const { ok, fail } = findings("range");
  const overlaps = await subnetOverlaps(config.ipallocRange);
  const found = overlaps.map(({ message, hint }) =>
    fail(message, hint ?? "another --ipalloc-range"),
  );
  for (const { peer, overlaps: theirs } of daemon?.answers ?? []) {
    const next = `on ${peer}: remove that route, or choose another subnet for the network`;
    found.push(...(theirs ?? []).map((text) => fail(`${peer}: ${text}`, next)));
  }
  if (found.length > 0) return found;
  const asked = daemon?.answers.filter((answer) => answer.overlaps !== null).length ?? 0;
  const others = asked > 0 ? `, nor on ${count(asked, "peer")}` : "";
  return [ok(`${config.ipallocRange} overlaps nothing on this host${others}`)];
}

async function versions(): Promise<string> {
  const [ip, nft] = await Promise.all([tool(["ip", "-V"]), tool(["nft", "--version"])]);
  const [, iproute = "?"] = /(?:iproute2-)?([0-9][\w.]*)/.exec(ip.out) ?? [];
  const [, nftables = "?"] = /v([0-9][\w.]*)/.exec(nft.out) ?? [];
  return `iproute2 ${iproute}, nftables ${nftables}, Node ${process.versions.node}`;
}

async function tcpIsFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

async function udpIsFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: "0.0.0.0", exclusive: true }, () => {
      socket.close(() => resolve(true));
    });
  });
}

/** Whether somebody accepts connections on a unix socket; undefined when there is none. */
export async function answers(path: string): Promise<boolean | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "ENOENT" || error.code === "ENOTDIR" ? undefined : false);
    });
  });
}

function firstLine(text: string): string {
  return text.split("\n").find((line) => line.trim() !== "") ?? "no message";
}
