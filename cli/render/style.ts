/** Colour as meaning: good, doubtful, bad, aside. Plain wherever nobody would see it. */
import { styleText } from "node:util";

export type Tone = "good" | "doubtful" | "bad" | "aside" | "strong";
export type Style = (tone: Tone | undefined, text: string) => string;

const FORMATS = {
  good: "green",
  doubtful: "yellow",
  bad: "red",
  aside: "dim",
  strong: "bold",
} as const;

/** Whether to colour is decided here, not by what styleText finds out about stdout. */
const WHEREVER = { validateStream: false };

export const plain: Style = (_tone, text) => text;

/** Colours on a terminal, unless NO_COLOR is set or the terminal is dumb (no-color.org). */
export function chooseStyle(
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): Style {
  const unwanted = (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  if (!isTerminal || unwanted) return plain;
  return (tone, text) => (tone === undefined ? text : styleText(FORMATS[tone], text, WHEREVER));
}
