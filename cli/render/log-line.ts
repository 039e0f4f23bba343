/**
 * A line of the daemon's log as people read it. What is not one of its JSON lines, such as the
 * stack of a crash, is shown as it is.
 */
import { isRecord } from "../control/error-body.ts";
import { localTime } from "./event-line.ts";
import { plain, type Style, type Tone } from "./style.ts";

const LEVELS: Readonly<Record<number, { readonly name: string; readonly tone?: Tone }>> = {
  20: { name: "debug", tone: "aside" },
  30: { name: "info" },
  40: { name: "warn", tone: "doubtful" },
  50: { name: "error", tone: "bad" },
};
const NAME_WIDTH = 5;
const PART_WIDTH = 7;
/** Shown in columns of their own. */
const OWN_COLUMNS = new Set(["level", "time", "part", "msg"]);

/** The numeric level of a line; undefined for one that has none. */
export function levelOf(line: string): number | undefined {
  const { level } = fieldsOf(line) ?? {};
  return typeof level === "number" ? level : undefined;
}

/** Time, level, part, message and the other fields, ended by a newline. */
export function logLine(line: string, style: Style = plain): string {
  const fields = fieldsOf(line);
  if (fields === undefined) return `${line.replace(/[^\P{Cc}\t]+/gu, " ")}\n`;
  const { level, time, part, msg } = fields;
  const { name, tone } = LEVELS[Number(level)] ?? { name: String(level) };
  const head = [
    style("aside", withMillis(String(time))),
    style(tone, name.padEnd(NAME_WIDTH)),
    (typeof part === "string" ? part : "").padEnd(PART_WIDTH),
  ];
  const rest = Object.entries(fields).filter(([field]) => !OWN_COLUMNS.has(field));
  const shown = rest.map(([field, value]) => style("aside", ` ${field}=${valueText(value)}`));
  return `${head.join(" ")} ${oneLine(String(msg ?? ""))}${shown.join("")}\n`;
}

function fieldsOf(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) && "level" in value ? value : undefined;
  } catch {
    return undefined; // Half a line of a process that died while it wrote.
  }
}

function withMillis(iso: string): string {
  const [, millis] = /\.(\d{3})Z$/.exec(iso) ?? [];
  return millis === undefined ? localTime(iso) : `${localTime(iso)}.${millis}`;
}

/** A word as it is, everything else as JSON. */
function valueText(value: unknown): string {
  if (typeof value === "string" && /^[\w.:/@+-]+$/.test(value)) return value;
  if (isRecord(value) && typeof value.host === "string" && typeof value.port === "number") {
    const host = value.host.includes(":") ? `[${value.host}]` : value.host;
    return oneLine(`${host}:${value.port}`);
  }
  return oneLine(JSON.stringify(value) ?? "");
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}
