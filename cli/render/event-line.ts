/** An event as one line for people. */
import { EVENT_KINDS, type MeshEvent } from "../events/event.ts";
import { plain, type Style, type Tone } from "./style.ts";

const TONES: Readonly<Record<string, Tone>> = {
  "peer-alive": "good",
  "problem-cleared": "good",
  "peer-suspect": "doubtful",
  "drift-healed": "doubtful",
  "peer-dead": "bad",
  "problem-raised": "bad",
};
const WIDTH = Math.max(...EVENT_KINDS.map((kind) => kind.length));

/** Local time, kind and text, ended by a newline. */
export function eventLine(event: MeshEvent, style: Style = plain): string {
  const text = event.text.replace(/\p{Cc}+/gu, " ");
  const kind = style(TONES[event.kind], event.kind.padEnd(WIDTH));
  return `${style("aside", localTime(event.time))}  ${kind}  ${text}\n`;
}

/** `2026-11-21 17:03:19` in the reader's time zone; what is no time stays as it is. */
export function localTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso.replace(/\p{Cc}+/gu, " ");
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
