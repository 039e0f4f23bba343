/** Quantities as people read them. */

const UNITS = [
  { name: "d", seconds: 86_400 },
  { name: "h", seconds: 3600 },
  { name: "m", seconds: 60 },
  { name: "s", seconds: 1 },
] as const;

/** The two largest units: `3d 4h`, `12m 5s`, `0s`. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const unit of UNITS) {
    const count = Math.floor(rest / unit.seconds);
    rest -= count * unit.seconds;
    if (parts.length > 0 && count === 0) break;
    if (count > 0) parts.push(`${count}${unit.name}`);
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}

/** A round trip or a pass: `0.8ms`, `12ms`, `-` when not measured. */
export function milliseconds(value: number | null): string {
  if (value === null) return "-";
  return value < 10 ? `${value.toFixed(1)}ms` : `${Math.round(value)}ms`;
}

/** `1 peer`, `2 peers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `0B`, `999B`, `1.2kB`, `38MB`: in powers of ten, three digits at most. */
export function bytes(value: number): string {
  let rest = Math.max(0, value);
  let unit = 0;
  // 999.5 would be written as 1000.
  while (rest >= 999.5 && unit < BYTE_UNITS.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const text = unit === 0 || rest >= 9.95 ? String(Math.round(rest)) : rest.toFixed(1);
  return `${text}${BYTE_UNITS[unit]}`;
}

/** A share of a whole in percent, `<1 %` rather than 0 for a little. */
export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "0 %";
  const share = (part / whole) * 100;
  return share < 1 ? "<1 %" : `${Math.round(share)} %`;
}
