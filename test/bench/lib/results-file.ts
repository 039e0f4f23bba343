/** RESULTS.md: one part a bench, replaced in place when that bench is run with --write. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Drawing } from "./report.ts";

const FILE = fileURLToPath(new URL("../RESULTS.md", import.meta.url));

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
  for (const { file, svg } of drawings) {
    writeFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), svg);
  }
}
