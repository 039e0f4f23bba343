/** Several quantities over the same time as one SVG, a panel each, a line each series. */

export interface PanelSeries {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly PanelSeries[];
}

const COLOURS = ["#0a58ca", "#b35900", "#2b8a3e", "#9c36b5", "#c92a2a"];
const SIZE = { width: 720, panel: 150, left: 64, right: 90, top: 26, bottom: 22 };

/** `across`: what the horizontal axis counts. */
export function panels(across: string, all: readonly Panel[]): string {
  const height = all.length * SIZE.panel + 24;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${height}"`,
    '  font-family="sans-serif" font-size="12">',
    `<rect width="${SIZE.width}" height="${height}" fill="#fff"/>`,
    ...all.flatMap((panel, at) => drawPanel(panel, at * SIZE.panel)),
    label([SIZE.width / 2, height - 8], across),
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ title, unit, series }: Panel, offset: number): string[] {
  const { width, panel, left, right, top, bottom } = SIZE;
  const points = series.flatMap((one) => one.points);
  const most = Math.max(...points.map(([, y]) => y), 1e-9);
  const [first, last] = [Math.min, Math.max].map((pick) => pick(...points.map(([x]) => x)));
  const [fromX = 0, toX = 1] = [first, last];
  const x = (value: number): number =>
    left + ((value - fromX) / Math.max(toX - fromX, 1e-9)) * (width - left - right);
  const y = (value: number): number =>
    offset + panel - bottom - (value / most) * (panel - top - bottom);
  const grid = [0, most].flatMap((value) => [
    `<path d="M${left} ${y(value).toFixed(1)}H${width - right}" stroke="#ddd"/>`,
    label([left - 6, y(value) + 4], nice(value), "end"),
  ]);
  const ends = [fromX, toX].map((value) => label([x(value), offset + panel - 6], nice(value)));
  const lines = series.flatMap(({ name, points: own }, at) => {
    const colour = COLOURS[at % COLOURS.length];
    const path = own.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L");
    const key = label([width - right + 8, offset + top + 14 * at], name, "start", colour);
    return [`<path d="M${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`, key];
  });
  return [label([left, offset + 16], `${title} (${unit})`, "start"), ...grid, ...ends, ...lines];
}

const nice = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toPrecision(2));

function label(
  [x, y]: readonly [number, number],
  words: string,
  anchor = "middle",
  colour = "#000",
): string {
  const at = `x="${x.toFixed(1)}" y="${y.toFixed(1)}"`;
  return `<text ${at} text-anchor="${anchor}" fill="${colour}">${words}</text>`;
}
