/**
 * The ratios of a part of RESULTS.md as one SVG: a bar each from 1 (as the peer) to ours over the
 * peer's, on a logarithmic axis, in the table's order. Drawn from the table itself, so that picture
 * and figures cannot differ.
 */

export interface RatioRow {
  readonly what: string;
  readonly peer: string;
  readonly ratio: number;
  /** Not worse than the peer, and within its target. */
  readonly isWell: boolean;
}

/** Rows of the table of figures that have a ratio. */
export function ratioRows(markdown: string): RatioRow[] {
  return markdown.split("\n").flatMap((line) => {
    const cells = line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim());
    const [what = "", , , against = "", ratio = "", , verdict = ""] = cells;
    if (cells.length !== 7 || !/^\d[\d.]*$/.test(ratio) || Number(ratio) === 0) return [];
    const peer = against.replace(/ [-\d.]+( \(.*)?$/, "");
    return [{ what, peer, ratio: Number(ratio), isWell: verdict === "ok" }];
  });
}

const SIZE = { width: 860, text: 470, row: 20, top: 46, right: 70 };
const WELL = "#2b8a3e";
const WORSE = "#b35900";

/** One picture; the caption says what is drawn. */
export function ratioBars(caption: string, rows: readonly RatioRow[]): string {
  const { width, text, row, top, right } = SIZE;
  const height = top + rows.length * row + 10;
  const farthest = Math.max(...rows.map(({ ratio }) => Math.abs(Math.log2(ratio))), 1);
  const middle = (text + width - right) / 2;
  const x = (ratio: number): number =>
    middle + (Math.log2(ratio) / farthest) * (middle - text - right / 2);
  const bars = rows.flatMap(({ what, peer, ratio, isWell }, at) => {
    const y = top + at * row;
    const colour = isWell ? WELL : WORSE;
    const [from, to] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio))];
    const isLeft = ratio < 1;
    return [
      words(text - 40, y + 13, "end", "#000", `${what} / ${peer}`),
      `<rect x="${tenth(from)}" y="${y + 3}" width="${tenth(Math.max(to - from, 1))}"` +
        ` height="${row - 6}" fill="${colour}"/>`,
      words(isLeft ? from - 5 : to + 5, y + 13, isLeft ? "end" : "start", colour, short(ratio)),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"`,
    '  font-family="sans-serif" font-size="12">',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    words(10, 16, "start", "#000", caption),
    words(10, 32, "start", WORSE, "orange: worse than what it is compared to, or short of its aim"),
    `<path d="M${tenth(x(1))} ${top - 8}V${height - 6}" stroke="#888"/>`,
    words(x(1), top - 12, "middle", "#555", "1"),
    ...bars,
    "</svg>",
    "",
  ].join("\n");
}

const tenth = (value: number): string => value.toFixed(1);

function short(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toPrecision(3);
}

function words(x: number, y: number, anchor: string, colour: string, text: string): string {
  const plain = text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${tenth(x)}" y="${y}" text-anchor="${anchor}" fill="${colour}">${plain}</text>`;
}
