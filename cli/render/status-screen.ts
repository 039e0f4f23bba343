/** The first screen of `status`: one line a part, one line a peer, one line a problem. */
import type { ConnectionRow, HealthProblem, PeerRow, Status } from "../control/api.ts";
import { bytes, count, duration, milliseconds, percent } from "./human.ts";
import { plain, type Style } from "./style.ts";
import { type Cell, table } from "./table.ts";
import { toned } from "./tables.ts";

/** Peers shown before the rest is left to `status peers`. */
const PEERS_SHOWN_MAX = 40;
const TITLES = ["PEER", "ADDRESS", "STATE", "RTT", "PATH", "MTU", "IN", "OUT", "SEEN"];

/** The whole screen, each line ended by a newline. */
export function statusScreen(
  status: Status,
  peers: readonly PeerRow[],
  style: Style = plain,
  connections: readonly ConnectionRow[] = [],
): string {
  const problems = status.health.problems;
  const health = status.health.ok
    ? style("good", "health OK")
    : style("bad", `health ${count(problems.length, "problem")}`);
  const { name, id } = status.peer;
  const who = `peer ${style("strong", name)} (${id.slice(0, 8)}) ${status.peer.advertise}`;
  const up = `up ${duration(status.uptimeSeconds)}`;
  const lines = [
    `tsweave ${status.version}  ${who}  ${up}  ${health}`,
    `mesh     ${meshLine(status)}`,
    `ipam     ${ipamLine(status)}`,
    `dns      ${dnsLine(status)}`,
    `docker   ${dockerLine(status)}`,
    `kernel   ${kernelLine(status)}`,
    `web      ${status.web.url ?? "not served"}`,
    "",
  ];
  const shown = peerTable(peers, connections, style);
  return `${lines.join("\n")}\n${shown}${healthLines(problems, style)}`;
}

function meshLine({ mesh }: Status): string {
  const states = (["alive", "suspect", "dead", "left"] as const)
    .filter((state) => mesh[state] > 0)
    .map((state) => `${mesh[state]} ${state}`);
  const trying = mesh.trying > 0 ? [`trying ${count(mesh.trying, "target")}`] : [];
  return [
    `${count(mesh.peers, "peer")} (${states.join(", ")})`,
    ...trying,
    `engine ${mesh.engine}`,
    mesh.encrypted ? "encrypted" : "not encrypted",
  ].join("  ");
}

function ipamLine({ ipam }: Status): string {
  const head = ipam.founded ? ipam.subnet : `${ipam.subnet}  ${ipam.text}`;
  return [
    head,
    `owns ${ipam.owned} (${percent(ipam.owned, ipam.addresses)})`,
    `used ${ipam.used}`,
    ...(ipam.unreachable > 0 ? [`unreachable ${ipam.unreachable}`] : []),
    ...(ipam.conflicts > 0 ? [`conflicts ${ipam.conflicts}`] : []),
  ].join("  ");
}

function dnsLine({ dns }: Status): string {
  if (!dns.enabled) return "off (--no-dns)";
  return `${dns.domain}  ${count(dns.names, "name")}  ${count(dns.sandboxes, "container")} served`;
}

function dockerLine({ docker }: Status): string {
  if (!docker.enabled) return "off (--no-docker)";
  return [
    docker.connected ? `engine ${docker.version ?? "?"}` : "engine not reachable",
    count(docker.networks, "network"),
    count(docker.endpoints, "endpoint"),
    docker.plugin ? "plugin socket ok" : "plugin socket not served",
  ].join("  ");
}

function kernelLine({ kernel }: Status): string {
  const { lastReconcileAgeSeconds: age, lastReconcileMs: took } = kernel;
  const last =
    age === null ? "no pass yet" : `last pass ${duration(age)} ago, took ${milliseconds(took)}`;
  const state = kernel.inSync ? "in sync" : `out of sync (${count(kernel.drift, "step")} to go)`;
  return `${state}  ${last}`;
}

function peerTable(
  peers: readonly PeerRow[],
  connections: readonly ConnectionRow[],
  style: Style,
): string {
  const links = new Map(connections.map((link) => [link.id, link]));
  const rows = peers.slice(0, PEERS_SHOWN_MAX).map((peer) => {
    const link = links.get(peer.id);
    return [
      peer.self ? `${peer.name} (self)` : peer.name,
      link?.address ?? peer.address,
      toned(peer.state),
      milliseconds(peer.rttMs),
      pathCell(peer, link),
      String(link?.mtuBytes ?? ""),
      ...trafficCells(link),
      seenCell(link),
    ];
  });
  const more = peers.length - rows.length;
  const rest = more > 0 ? `and ${more} more, see 'tsweave status peers'\n` : "";
  return table(TITLES, rows, style) + rest;
}

/** How containers' packets go there; where not even gossip does by itself, that and why. */
function pathCell({ path }: PeerRow, link: ConnectionRow | undefined): Cell {
  if (link === undefined || link.direct === null) return { text: "" };
  if (link.direct) return { text: path?.kind ?? "", tone: "good" };
  return { text: `gossip relayed (${link.fault ?? "silent"})`, tone: "bad" };
}

function trafficCells(link: ConnectionRow | undefined): [string, string] {
  const traffic = link?.traffic ?? null;
  return traffic === null ? ["", ""] : [bytes(traffic.inBytes), bytes(traffic.outBytes)];
}

/** How long ago something of it arrived. */
function seenCell(link: ConnectionRow | undefined): string {
  const seconds = link?.seenSeconds ?? null;
  return seconds === null ? "" : duration(seconds);
}

function healthLines(problems: readonly HealthProblem[], style: Style): string {
  if (problems.length === 0) return "";
  const lines = problems.map(({ text, next }) => {
    const advice = next === null ? "" : ` -> ${next}`;
    return `  - ${oneLine(text)}${style("aside", oneLine(advice))}\n`;
  });
  return `Health:\n${lines.join("")}`;
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
