/** Stored bytes of the wire, compared with what is made now; UPDATE_GOLDEN=1 writes them anew. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./sources.ts";

export type Vectors = Record<string, Uint8Array>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The stored vectors, which are first written anew when that is asked for. */
export function golden(name: string, made: Vectors): Vectors {
  const path = join(ROOT, "test/golden", `${name}.json`);
  if (process.env.UPDATE_GOLDEN === "1") {
    const rows = Object.entries(made).map(([label, bytes]) => [label, hex(bytes)]);
    mkdirSync(join(ROOT, "test/golden"), { recursive: true });
    writeFileSync(path, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
  }
  const stored = JSON.parse(readFileSync(path, "utf8")) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(stored).map(([label, text]) => [label, Buffer.from(text, "hex")]),
  );
}

/** Fails where made and stored vectors differ. */
export function same(name: string, made: Vectors): void {
  const stored = golden(name, made);
  assert.deepEqual(Object.keys(made), Object.keys(stored));
  for (const [label, bytes] of Object.entries(made)) {
    assert.equal(hex(bytes), hex(stored[label] ?? Buffer.alloc(0)), `${name}: ${label}`);
  }
}
