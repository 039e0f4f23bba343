/** Durations as people write them: `90`, `90s`, `10m`, `2h`, `1d`. */
import { TsweaveError } from "../mesh/index.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const YEAR_MS = 366 * 86_400_000;

/** In milliseconds; a number without a unit is seconds. @throws TsweaveError USAGE */
export function parseDuration(text: string, option: string): number {
  const [, number = "", unit = ""] = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)$/.exec(text) ?? [];
  const durationMs = Number(number) * (UNIT_MS[unit] ?? 0);
  if (number !== "" && durationMs <= YEAR_MS) return durationMs;
  throw new TsweaveError("USAGE", `${option}: '${text.slice(0, 64)}' is not a duration`, {
    hint: "write a number and s, m, h or d, such as 30s or 10m",
  });
}
