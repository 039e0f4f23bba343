/**
 * RESULTS.md: one part a bench, replaced in place when that bench is run with --write. Beside it a
 * picture of each part's ratios, drawn from its table.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ratioBars, ratioRows } from "./ratio-bars.ts";
import type { Drawing } from "./report.ts";

const FILE = beside("RESULTS.md");

/** Of these parts the picture shows but some rows. */
const SHOWN: Readonly<Record<string, RegExp>> = { mesh: /^native, 20 peers/ };

/** Replaces the part between the bench's marks, or adds it at the end. */
export function writePart(name: string, text: string): void {
  const open = `<!-- bench ${name} -->`;
  const close = `<!-- end ${name} -->`;
  const part = `${open}\n${text}${close}`;
  const before = readFileSync(FILE, "utf8");
  const start = before.indexOf(open);
  const end = before.indexOf(close);
  const after =
    start < 0 || end < start
      ? `${before.trimEnd()}\n\n${part}\n`
      : before.slice(0, start) + part + before.slice(end + close.length);
  writeFileSync(FILE, after);
}

/** Writes a bench's pictures beside RESULTS.md. */
export function writeDrawings(drawings: readonly Drawing[]): void {
  for (const { file, svg } of drawings) writeFileSync(beside(file), svg);
}

/** Pictures of the ratios that RESULTS.md has now. */
export function ratioDrawings(): Drawing[] {
  const parts = readFileSync(FILE, "utf8").matchAll(/<!-- bench (\S+) -->(.*?)<!-- end \1 -->/gs);
  return [...parts].flatMap(([, name = "", text = ""]) => {
    const rows = ratioRows(text).filter(({ what }) => SHOWN[name]?.test(what) ?? true);
    const caption = `${name}: tsweave's figure over what it is compared to, in the same run`;
    return rows.length < 2 ? [] : [{ file: `ratios-${name}.svg`, svg: ratioBars(caption, rows) }];
  });
}

function beside(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}
