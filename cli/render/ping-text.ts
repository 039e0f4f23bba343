/** What `tsweave ping` found, a line a part. */
import type { PingReport } from "../commands/ping.ts";
import type { PathProbe } from "../doctor/path-probe.ts";
import { duration, milliseconds } from "./human.ts";
import { plain, type Style, type Tone } from "./style.ts";

/** Several lines, each ended by a newline. */
export function pingText(report: PingReport, style: Style = plain): string {
  const { peer, id, answers, tunnel, underlay } = report;
  const lines = [
    `${style("strong", peer)} (${id.slice(0, 8)})`,
    part("gossip", gossipText(report), style),
    ...answers.map(({ error, tookMs, version }) =>
      error === null
        ? part("stream", ["good", `answers in ${milliseconds(tookMs)}, tsweave ${version}`], style)
        : part("stream", ["bad", error], style),
    ),
    part("underlay", probeText(underlay.address, underlay, undefined), style),
    tunnel === null
      ? part("tunnel", ["aside", "not tried: needs a container on both hosts, one network"], style)
      : part(
          "tunnel",
          probeText(`${tunnel.address} on ${tunnel.network}`, tunnel, tunnel.mtu),
          style,
        ),
  ];
  return `${lines.join("\n")}\n`;
}

type Told = readonly [tone: Tone | undefined, text: string];

function part(name: string, [tone, text]: Told, style: Style): string {
  return `  ${name.padEnd(8)}  ${style(tone, text.replace(/\p{Cc}+/gu, " "))}`;
}

function gossipText({ gossip }: PingReport): Told {
  const { state, rttMs, address, direct, fault, directSinceSeconds } = gossip;
  if (direct === false) {
    const since = duration(directSinceSeconds ?? 0);
    return ["bad", `${address} ${state}, not directly (${fault ?? "silent"} for ${since})`];
  }
  const tone = state === "established" ? "good" : "bad";
  return [tone, `${address} ${state}, round trip ${milliseconds(rttMs)}`];
}

function probeText(where: string, probe: PathProbe, mtuBytes: number | undefined): Told {
  const { error, rttMs, largestBytes } = probe;
  if (error !== null) return ["doubtful", `${where}: ${error}`];
  if (largestBytes === null) return ["bad", `${where}: only small packets come back`];
  const text = `${where}: ${milliseconds(rttMs)}, packets up to ${largestBytes} bytes`;
  if (mtuBytes === undefined || largestBytes >= mtuBytes) return ["good", text];
  return ["bad", `${text}, less than the MTU ${mtuBytes} -> launch all hosts with a smaller --mtu`];
}
