/** The last packets of a simulated mesh as a mermaid sequence, for whoever reads a failure. */
import { decodeWire, type WireValue } from "../../mesh/index.ts";
import { readTablesMessage } from "../../mesh/tables/push.ts";
import type { Sent } from "../lib/memory-network.ts";
import type { SimWorld } from "./sim-world.ts";

const PACKETS_SHOWN = 40;
/** Where a tables message may begin in a plain datagram. */
const HEADER_BYTES_MAX = 24;

/** Mermaid text: one line a packet, `-x` for a lost one. */
export function sequenceDiagram(world: SimWorld): string {
  const names = new Map(world.hosts.map(({ advertise, name }) => [advertise.host, name]));
  const nameOf = (host: string) => names.get(host) ?? host;
  const lines = world.network.trace.slice(-PACKETS_SHOWN).map((sent) => {
    const arrow = sent.lost ? "-x" : "->>";
    const at = sent.atMs.toFixed(1);
    return `  ${nameOf(sent.from)}${arrow}${nameOf(sent.to)}: ${at} ms ${said(sent)}`;
  });
  return ["```mermaid", "sequenceDiagram", ...lines, "```"].join("\n");
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
      const message = readTablesMessage(value, "0".repeat(32));
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
