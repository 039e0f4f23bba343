/**
 * Transcripts of the command line: what a command wrote, with what differs from run to run made
 * alike, held against a file a command. UPDATE_GOLDEN=1 writes the files anew.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPLIES } from "../../cli/schema/replies.ts";
import type { Ran } from "../unit/cli/fixture-run.ts";
import { misfits } from "./json-schema.ts";
import { ROOT } from "./sources.ts";

const FOLDER = join(ROOT, "test/golden/transcripts");

/** What is always called the same in a transcript: a text of this run, and its name. */
export type Names = readonly (readonly [text: string, name: string])[];

const ALIKE: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z\b/g, "TIME"],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\b/g, "TIME"],
  [/(?<=\b(endpoint|mesh) )[0-9a-f]{12,16}\b/g, "ID"],
  [/\bprocess \d+\b/g, "process PID"],
  [/\b\d+(\.\d+)?(ms| ms)\b/g, "N$2"],
  [/\b\d+(\.\d+)?(B|kB|MB)(?=\s|$)/gm, "NB"],
  [/(?<=\s|^)(\d+[dhms] )?\d+[dhms](?=[\s,:;)]|$)/gm, "AGE"],
  [/\bafter \d+\.\d s\b/g, "after N s"],
  // Sooner or later the kernel knows that nobody is there.
  [/\b(did not answer within N ms|connect EHOSTUNREACH [\d.:]+)/g, "did not answer"],
  // Widths of columns follow what is in them.
  [/(?<=\S) {2,}(?=\S)/g, "  "],
  [/ +$/gm, ""],
  [/(?<=\btrying {2})\d+$/gm, "N"],
];

/** A text as every run writes it. */
export function alike(text: string, names: Names): string {
  const named = names
    .filter(([from]) => from !== "")
    .toSorted(([a], [b]) => b.length - a.length)
    .reduce((result, [from, to]) => result.replaceAll(from, to), text);
  return ALIKE.reduce((result, [pattern, to]) => result.replace(pattern, to), named);
}

/** One run: the situation and the words, the exit code, then what was written, errors marked. */
export function scene(title: string, { code, out, err }: Ran, names: Names): string {
  const lines = [...marked(alike(out, names), ""), ...marked(alike(err, names), "! ")];
  return [`== ${alike(title, names)}`, `exit ${code ?? "as the machine is"}`, ...lines, ""].join(
    "\n",
  );
}

/** Holds what was printed, an object a line, against its schema; in a transcript that is enough. */
export function asPublished(ran: Ran, schema: string | undefined, title: string): Ran {
  const published = REPLIES[schema ?? ""];
  assert.ok(published !== undefined && ran.out !== "", `${title}: ${ran.err}`);
  for (const line of ran.out.trim().split("\n")) {
    assert.deepEqual(misfits(published, JSON.parse(line)), [], title);
  }
  return { ...ran, out: `(JSON as 'tsweave schema ${schema}' says)\n` };
}

function marked(text: string, mark: string): string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  return text === "" ? [] : lines.map((line) => `${mark}${line}`.trimEnd());
}

/** Fails where a command's transcript is not the stored one, or there is none. */
export function sameTranscript(command: string, scenes: readonly string[]): void {
  const path = join(FOLDER, `${command}.txt`);
  const text = `${scenes.join("\n")}`;
  if (process.env.UPDATE_GOLDEN === "1") {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(path, text);
  }
  const how = "UPDATE_GOLDEN=1 writes it";
  assert.ok(existsSync(path), `'${command}' has no transcript; ${how}`);
  assert.equal(text, readFileSync(path, "utf8"), `test/golden/transcripts/${command}.txt; ${how}`);
}
