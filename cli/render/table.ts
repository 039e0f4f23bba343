/** Aligned columns, two spaces apart, always with a header: the same for people and for awk. */
import { plain, type Style, type Tone } from "./style.ts";

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
}

/** Column titles and rows as text, one newline after each line; empty cells show as `-`. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  style: Style = plain,
): string {
  const cells = rows.map((row) => row.map(toCell));
  const widths = titles.map((title, at) =>
    cells.reduce((width, row) => Math.max(width, row[at]?.text.length ?? 0), title.length),
  );
  const header = titles.map((text): Cell => ({ text, tone: "strong" }));
  return [header, ...cells].map((row) => line(row, widths, style)).join("");
}

function line(row: readonly Cell[], widths: readonly number[], style: Style): string {
  const parts = row.map(({ text, tone }, at) => {
    const last = at === row.length - 1;
    return style(tone, text) + (last ? "" : " ".repeat((widths[at] ?? 0) - text.length));
  });
  return `${parts.join("  ")}\n`;
}

/** What comes from other hosts is shown without its control characters. */
function toCell(value: string | Cell): Cell {
  const cell = typeof value === "string" ? { text: value } : value;
  const text = cell.text.replace(/\p{Cc}/gu, "?");
  return { ...cell, text: text === "" ? "-" : text };
}
