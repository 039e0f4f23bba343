/** Colours and fonts for the canvas, from the style sheet: it alone knows light from dark. */
import { COLOURS } from "./graph.ts";
import type { Tone } from "./words.ts";

export interface Look {
  readonly text: string;
  readonly faint: string;
  readonly card: string;
  readonly edge: string;
  readonly accent: string;
  readonly tones: Readonly<Record<Tone, string>>;
  readonly networks: readonly string[];
  readonly font: string;
}

export function readLook(element: HTMLElement): Look {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("text"),
    faint: colour("faint"),
    card: colour("card"),
    edge: colour("edge"),
    accent: colour("accent"),
    tones: { good: colour("good"), warn: colour("warn"), bad: colour("bad"), off: colour("off") },
    networks: Array.from({ length: COLOURS }, (_, at) => colour(`net-${at}`)),
    font: style.fontFamily,
  };
}
