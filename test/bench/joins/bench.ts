/**
 * `bench joins`: how long Docker waits for a Join or a Leave, and a changed row for the kernel,
 * while thousands of remote endpoints are being programmed.
 */
import { ownTag, removeNamespaces, runWorker } from "../kernel/run-worker.ts";
import { bundle, scratchDir } from "../lib/bundle.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section } from "../lib/report.ts";
import type { Waits, Way } from "./waits.ts";

const SIZES = [10_000, 50_000] as const;
const WAYS: readonly (readonly [way: Way, text: string])[] = [
  ["idle", "afterwards"],
  ["pass", "during a cold start"],
  ["rows", "while they arrive as rows"],
];
/** What nobody who starts a container notices. */
const WAIT_MS = 100;

export async function benchJoins({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  const worker = await bundle("joins/worker.ts", scratchDir(cleanup));
  const tag = ownTag("j");
  cleanup.add("namespaces", () => removeNamespaces(tag));
  const calm = new Calm(60_000);
  const figures: Figure[] = [];
  for (const endpoints of quick ? [1000] : SIZES) {
    say(`${endpoints} endpoints`);
    await calm.wait();
    const waits = await runWorker<Record<Way, Waits>>(worker, { tag, endpoints }, cleanup);
    for (const [way, text] of WAYS)
      figures.push(...figuresOf(`${endpoints} endpoints, ${text}`, waits[way]));
  }
  const title = "joins: a Join, a Leave and a changed row between the batches";
  return { name: "joins", title, figures, tables: [], notes: NOTES };
}

function figuresOf(where: string, { joinMs, leaveMs, rowMs, allMs }: Waits): Figure[] {
  const figure = (what: string, ours: readonly number[]): Figure => ({
    what: `${where}: ${what}`,
    unit: "ms",
    ours,
    better: "lower",
    target: WAIT_MS,
  });
  const all = { what: `${where}: all of it`, unit: "ms", ours: allMs, better: "lower" as const };
  return [
    figure("a Join", joinMs),
    figure("the longest Join", [Math.max(...joinMs)]),
    figure("a changed row", rowMs),
    figure("a Leave", leaveMs),
    ...(allMs.length === 0 ? [] : [all]),
  ];
}

const NOTES = [
  "A Join is the veth pair, by one `ip` process; a changed row one `ip` and one `bridge`. One " +
    "after the other, 20 ms apart, from the first moment to the last; a cold start holds the " +
    "look at the kernel before and the one that verifies it. The limit is the bench's own.",
];
