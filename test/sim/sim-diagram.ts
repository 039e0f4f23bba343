/**
 * The packets before a failure as a mermaid sequence, with what was done to the mesh between them,
 * for whoever reads it: those of the hosts that it is about, idle ones left out.
 */
import { decodeWire, type WireValue } from "../../mesh/index.ts";
import { readTablesMessage } from "../../mesh/tables/push.ts";
import type { Sent } from "../lib/memory-network.ts";
import type { Violation } from "./sim-violation.ts";
import type { SimWorld } from "./sim-world.ts";

const LINES_SHOWN = 40;
/** Where a tables message may begin in a plain datagram. */
const HEADER_BYTES_MAX = 24;
/** A probe without news, and a digest: what an idle mesh sends. */
const IDLE_BYTES_MAX = 40;

interface Line {
  readonly atMs: number;
  readonly text: string;
}

/** Mermaid text: one line a packet, `-x` for a lost one; empty when none was kept. */
export function sequenceDiagram(world: SimWorld, { hosts }: Violation, untilMs: number): string {
  if (world.network.traceMax === 0) return "";
  const names = new Map(world.hosts.map(({ advertise, name }) => [advertise.host, name]));
  const nameOf = (host: string) => names.get(host) ?? host;
  const isAbout = ({ from, to, bytes, kind }: Sent): boolean => {
    if (kind === "datagram" && bytes.length <= IDLE_BYTES_MAX) return false;
    return hosts.length === 0 || hosts.includes(nameOf(from)) || hosts.includes(nameOf(to));
  };
  const sent = world.network.trace.filter((one) => one.atMs <= untilMs && isAbout(one));
  const packets = sent.slice(-LINES_SHOWN).map((one): Line => {
    const arrow = `${nameOf(one.from)}${one.lost ? "-x" : "->>"}${nameOf(one.to)}`;
    return { atMs: one.atMs, text: `${arrow}: ${one.atMs.toFixed(1)} ms ${said(one)}` };
  });
  const [first, last] = [world.hosts[0]?.name ?? "", world.hosts.at(-1)?.name ?? ""];
  const notes = world.notes.map(({ atMs, text }): Line => {
    const over = first === last ? first : `${first},${last}`;
    return { atMs, text: `Note over ${over}: ${atMs.toFixed(1)} ms ${text}` };
  });
  const lines = [...notes, ...packets].sort((a, b) => a.atMs - b.atMs).slice(-LINES_SHOWN);
  const who = world.hosts.map(({ name }) => `  participant ${name}`);
  const body = lines.map(({ text }) => `  ${text}`);
  return ["```mermaid", "sequenceDiagram", ...who, ...body, "```"].join("\n");
}

function said(sent: Sent): string {
  if (sent.kind === "datagram") return datagram(sent.bytes);
  if (sent.kind === "answer") return `answer, ${sent.bytes.length} bytes`;
  const value = tryDecode(sent.bytes);
  const service = Array.isArray(value) ? value.find((item) => typeof item === "string") : "";
  return `ask ${service}, ${sent.bytes.length} bytes`;
}

function datagram(bytes: Uint8Array): string {
  for (let at = 0; at <= HEADER_BYTES_MAX; at += 1) {
    const value = tryDecode(bytes.subarray(at));
    if (!Array.isArray(value)) continue;
    try {
      const message = readTablesMessage(value);
      if ("delta" in message) {
        const { from, to, rows } = message.delta;
        return `${message.type} (${from},${to}] ${rows.map(({ key }) => key).join(" ")}`;
      }
      return "seq" in message ? `${message.type} ${message.seq}` : message.type;
    } catch {
      // Not where the message begins.
    }
  }
  return `${bytes.length} bytes`;
}

function tryDecode(bytes: Uint8Array): WireValue | undefined {
  try {
    return decodeWire(bytes);
  } catch {
    return undefined;
  }
}
