/** Medians and spreads: the machine's speed drifts, so one run's mean says nothing. */

/** The value below which the share `q` (0 to 1) of the sample lies; NaN for an empty sample. */
export function quantile(sample: readonly number[], q: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) return Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(sample: readonly number[]): number {
  return quantile(sample, 0.5);
}

/** Medians of `a[i] / b[i]`: what drifts between rounds cancels out within one. */
export function pairedRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.flatMap((value, at) => (b[at] === undefined ? [] : [value / (b[at] ?? 1)])));
}

/** Three significant digits, no exponent: `0.0123`, `4.56`, `789`, `12345`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

/** `median (least–most, n)`. */
export function spread(sample: readonly number[]): string {
  if (sample.length === 0) return "–";
  if (sample.length === 1) return short(sample[0] ?? Number.NaN);
  const range = `${short(Math.min(...sample))}–${short(Math.max(...sample))}`;
  return `${short(median(sample))} (${range}, ${sample.length})`;
}
