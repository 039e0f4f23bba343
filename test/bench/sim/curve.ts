/** A curve as SVG: values over mesh sizes, both logarithmic, one line a series. */

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly isDashed: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const SIZE = { width: 640, height: 360, left: 56, right: 150, top: 28, bottom: 40 };
const POWERS = [1, 10, 100, 1000];

export function curve(title: string, units: readonly [string, string], all: readonly Series[]) {
  const { width, height, left, right, top, bottom } = SIZE;
  const points = all.flatMap((series) => series.points);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const scale = (values: readonly number[], from: number, to: number) => {
    const [least, most] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
    const span = most === least ? 1 : most - least;
    return (value: number) => from + ((Math.log10(value) - least) / span) * (to - from);
  };
  const x = scale(xs, left, width - right);
  const y = scale([...ys, 1], height - bottom, top);
  const text = (at: readonly [number, number], words: string, anchor = "middle") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" text-anchor="${anchor}">${words}</text>`;
  const rows = POWERS.filter((power) => power <= Math.max(...ys)).flatMap((power) => [
    `<path d="M${left} ${y(power).toFixed(1)}H${width - right}" stroke="#ddd"/>`,
    text([left - 6, y(power) + 4], `${power}`, "end"),
  ]);
  const columns = [...new Set(xs)].map((size) => text([x(size), height - bottom + 18], `${size}`));
  const lines = all.flatMap(({ name, colour, isDashed, points: own }) => {
    const path = own.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L");
    const dash = isDashed ? ' stroke-dasharray="5 4"' : "";
    const last = own.at(-1);
    const label = last === undefined ? [] : [text([x(last[0]) + 8, y(last[1]) + 4], name, "start")];
    return [
      `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`,
      ...label,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}"`,
    '  font-family="sans-serif" font-size="12">',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text([left, 18], title, "start"),
    ...rows,
    ...columns,
    text([(left + width - right) / 2, height - 6], units[0]),
    text([left, height - 6], units[1], "middle"),
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}
