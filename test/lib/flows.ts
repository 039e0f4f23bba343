/**
 * Traffic between two containers, watched closely while something is done to their hosts: pings
 * every 5 ms, a TCP stream, and the name. The engine takes no part in it, so it may restart.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Background } from "../lab/background.ts";
import type { MeshHosts } from "./mesh-hosts.ts";
import { ROOT } from "./sources.ts";

const PROBE = join(ROOT, "test/lib/flow-probe.mjs");
const PING_MS = 5;
/** Where a container of `echo` answers lines. */
const PORT = 7000;

export interface FlowReport {
  readonly pings: { readonly sent: number; readonly lost: number; readonly longestGapMs: number };
  readonly stream: {
    readonly sent: number;
    readonly echoed: number;
    /** Segments that TCP sent a second time. */
    readonly resent: number;
    readonly longestGapMs: number;
    readonly error: string | null;
  };
  readonly names: {
    readonly asked: number;
    readonly answered: number;
    /** Answers without the address. */
    readonly wrong: number;
    readonly longestGapMs: number;
  };
}

interface Place {
  readonly host: string;
  readonly container: string;
}

/** Starts a container that serves its name over HTTP and sends back lines; its address. */
export async function echo(
  mesh: MeshHosts,
  { host, container }: Place,
  ...flags: string[]
): Promise<string> {
  const serve = [
    `mkdir -p /www; echo ${container} > /www/index.html; httpd -h /www`,
    `exec nc -ll -p ${PORT} -e cat`,
  ].join("; ");
  const run = ["run", "-d", "--net", "tsweave", "--name", container, "--stop-timeout", "1"];
  await mesh.docker(host, ...run, ...flags, "busybox", "sh", "-c", serve);
  return await mesh.ip(host, container);
}

/** Pings, stream and lookups from one container to another, until `stop`. */
export class Flow {
  readonly #ping: Background;
  readonly #probe: Background;

  private constructor(ping: Background, probe: Background) {
    this.#ping = ping;
    this.#probe = probe;
  }

  /** Resolves when the stream is connected and pings are answered. */
  static async start(mesh: MeshHosts, from: Place, to: Place): Promise<Flow> {
    const ip = await mesh.ip(to.host, to.container);
    const pid = await mesh.docker(from.host, "inspect", "-f", "{{.State.Pid}}", from.container);
    const inside = ["nsenter", `--net=/proc/${pid}/ns/net`];
    const host = mesh.lab.host(from.host);
    const interval = String(PING_MS / 1000);
    const ping = await host.spawn([...inside, "busybox", "ping", "-i", interval, ip]);
    const target = [ip, String(PORT), to.container];
    const probe = await host.spawn([...inside, process.execPath, PROBE, ...target]);
    const flow = new Flow(ping, probe);
    try {
      await ping.waitForOutput(/ seq=\d/);
      await probe.waitForOutput(/connected/);
      return flow;
    } catch (error) {
      await flow.end();
      throw error;
    }
  }

  /** Ends it and tells what was missing. */
  async stop(): Promise<FlowReport> {
    const [pings, [, report = ""]] = await Promise.all([this.#ping.stop(), this.#probe.stop()]);
    const told = JSON.parse(report) as Omit<FlowReport, "pings">;
    return { pings: readPings(pings), ...told };
  }

  /** Ends it without a report, also when it has ended already. */
  async end(): Promise<void> {
    await Promise.all([this.#ping.kill(), this.#probe.kill()]);
  }
}

/** Pings by their numbers. The last few may still have been on their way. */
function readPings(lines: readonly string[]): FlowReport["pings"] {
  const numbers = lines.flatMap((line) => / seq=(\d+) /.exec(line)?.[1] ?? []).map(Number);
  const sent = Number(/^(\d+) packets transmitted/m.exec(lines.join("\n"))?.[1]);
  assert.ok(sent > 0, `ping said: ${lines.slice(-3).join("; ")}`);
  const answered = new Set(numbers);
  const onTheWay = 3;
  let lost = 0;
  let run = 0;
  let longest = 0;
  for (let seq = 0; seq < sent - onTheWay; seq += 1) {
    run = answered.has(seq) ? 0 : run + 1;
    if (run > 0) lost += 1;
    longest = Math.max(longest, run);
  }
  return { sent, lost, longestGapMs: longest * PING_MS };
}

/** One line for people. */
export function flowText({ pings, stream, names }: FlowReport): string {
  const gap = pings.lost > 0 ? ` (${pings.longestGapMs} ms)` : "";
  return [
    `${pings.lost} of ${pings.sent} pings lost${gap}`,
    `stream ${stream.echoed}/${stream.sent} lines, ${stream.resent} segments resent, ` +
      `longest wait ${stream.longestGapMs} ms${stream.error === null ? "" : `, ${stream.error}`}`,
    `name ${names.answered}/${names.asked} answers, ${names.wrong} wrong, ` +
      `longest wait ${names.longestGapMs} ms`,
  ].join("; ");
}
