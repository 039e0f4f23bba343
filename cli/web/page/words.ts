/**
 * How the page puts facts into words. Names come from containers and other hosts.
 *
 * Law: whatever a name holds, it is one line and does not turn the text around it (bidi controls).
 */
import type { MapEndpoint, MapHost } from "./model.ts";

/** A name as it is shown. */
export function shown(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
}

export function rttText(rttMs: number | null): string {
  if (rttMs === null) return "";
  return rttMs < 1000 ? `${rttMs} ms` : `${rttMs / 1000} s`;
}

const UNITS = ["B/s", "kB/s", "MB/s", "GB/s"] as const;

/** What the tunnels carry to and from a host now, `in 1.2 MB/s, out 40 kB/s`; empty: nothing. */
export function trafficText({ inBytesPerSecond, outBytesPerSecond }: MapHost): string {
  if (inBytesPerSecond === null || outBytesPerSecond === null) return "";
  if (inBytesPerSecond + outBytesPerSecond === 0) return "";
  return `in ${rateText(inBytesPerSecond)}, out ${rateText(outBytesPerSecond)}`;
}

function rateText(value: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${Number((value / 1000 ** unit).toPrecision(2))} ${UNITS[unit]}`;
}

/** Whether the daemon's host reaches this one itself. */
export function pathText(host: MapHost): string {
  if (host.self) return "this host";
  if (host.direct === true) return "answers itself";
  if (host.direct === null) return "not known";
  const why = host.fault === null ? "" : ` (${FAULTS[host.fault] ?? host.fault})`;
  return `only others reach it${why}`;
}

const FAULTS: Readonly<Record<string, string>> = {
  silent: "nothing comes back",
  refused: "the port is closed",
  "tcp-only": "only TCP passes",
};

export type Tone = "good" | "warn" | "bad" | "off";

const TONES: Readonly<Record<MapEndpoint["state"], Tone>> = {
  alive: "good",
  suspect: "warn",
  unplugged: "warn",
  dead: "bad",
  left: "off",
};

export function toneOf({ state, direct }: Pick<MapHost, "state" | "direct">): Tone {
  return state === "alive" && direct === false ? "warn" : TONES[state];
}

export function endpointTone(state: MapEndpoint["state"]): Tone {
  return TONES[state];
}

export function count(number: number, one: string): string {
  return `${number} ${one}${number === 1 ? "" : "s"}`;
}
