/** What `tsweave explain` found: a line a step, then the verdict. */
import type { Explanation } from "../explain/decide.ts";
import { plain, type Style } from "./style.ts";
import { table } from "./table.ts";

const TONES = { ok: "good", failed: "bad", unknown: "doubtful" } as const;

/** Aligned lines and the verdict, each ended by a newline. */
export function explainText(
  { from, to }: { readonly from: string; readonly to: string },
  { steps, reachable, cause, notes }: Explanation,
  style: Style = plain,
): string {
  const rows = steps.map(({ step, state, text }) => [
    step,
    { text: state, tone: TONES[state] },
    text,
  ]);
  const shown = (text: string) => text.replace(/\p{Cc}/gu, "?");
  const besides = notes.length === 0 ? "" : `; besides: ${notes.join(", ")}`;
  const verdict =
    cause === null
      ? style("good", shown(`${to} is reachable from ${from}${besides}`))
      : style("bad", shown(`${cause.code}: ${cause.text}`));
  const next = cause?.next == null ? "" : ` -> ${shown(cause.next)}`;
  const also = reachable || besides === "" ? "" : style("aside", shown(besides));
  return `${table(["STEP", "STATE", "WHAT"], rows, style)}\n${verdict}${next}${also}\n`;
}
