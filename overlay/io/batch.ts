/**
 * Runs one rendered batch with `ip` or `bridge` and tells which of its steps failed.
 *
 * Law: one bad line hurts only its own step. Both tools go on after most errors under `-force`,
 * but give up the whole batch on words they do not accept (a master that is not there); then the
 * batch is halved and tried again. Lines are idempotent, so a second try is harmless.
 */
import { readBatchErrors, type StepFailure } from "../failures.ts";
import type { Batch } from "../render.ts";
import type { Run } from "./exec.ts";
import { entering } from "./netns.ts";
import type { ToolSessions } from "./tool-sessions.ts";

const BATCH_TIMEOUT_MS = 60_000;

/** Sets only the keys that exist: br_netfilter may not be loaded. */
const SYSCTL_SCRIPT =
  'value=$1; shift; for file in "$@"; do ' +
  'if [ -e "$file" ]; then echo "$value" > "$file" || exit 1; fi; done';

/**
 * Applies one batch; resolves with the steps that failed. Throws when the tool cannot run. Without
 * `sessions` each tool is a process of its own.
 */
export async function runBatch<S>(
  run: Run,
  prefix: readonly string[],
  batch: Batch<S>,
  sessions?: ToolSessions,
): Promise<StepFailure<S>[]> {
  if (batch.tool === "sysctl") return await runSysctl(run, prefix, batch);
  if (batch.tool === "nft") return await runNft(run, prefix, batch);
  const { tool, netns, lines } = batch;
  const result = await sessions?.run({ tool, netns }, lines, BATCH_TIMEOUT_MS);
  if (result?.hasFailed === false) return [];
  return await runTool(run, prefix, result === undefined ? batch : failedPart(batch, result));
}

/** What is to be tried again: the lines that failed; all, where the tool gave up. */
function failedPart<S>(batch: Batch<S>, { stderr }: { readonly stderr: string }): Batch<S> {
  const { byLine, crash } = readBatchErrors(stderr);
  if (crash !== undefined || byLine.size === 0) return batch;
  const has = (_: unknown, index: number) => byLine.has(index + 1);
  return { ...batch, lines: batch.lines.filter(has), steps: batch.steps.filter(has) };
}

async function runTool<S>(
  run: Run,
  prefix: readonly string[],
  batch: Batch<S>,
): Promise<StepFailure<S>[]> {
  const { netns } = batch;
  // The tools' -n knows names only.
  const isPath = netns?.startsWith("/") === true;
  const where = netns === undefined ? prefix : isPath ? entering(netns) : [];
  const inside = netns === undefined || isPath ? [] : ["-n", netns];
  const argv = [...where, batch.tool, ...inside, "-force", "-batch", "-"];
  const input = `${batch.lines.join("\n")}\n`;
  const result = await run(argv, { input, tolerant: true, timeoutMs: BATCH_TIMEOUT_MS });
  if (result.exitCode === 0) return [];
  const { byLine, crash } = readBatchErrors(result.stderr);
  if (crash === undefined && byLine.size > 0) {
    return batch.steps.flatMap((step, index) => {
      const error = byLine.get(index + 1);
      return error === undefined ? [] : [{ step, error }];
    });
  }
  const error = crash ?? `exit ${result.exitCode}`;
  if (batch.steps.length === 1 || NO_NETNS.test(error)) {
    return batch.steps.map((step) => ({ step, error }));
  }
  const half = Math.ceil(batch.steps.length / 2);
  const first = await runTool(run, prefix, cut(batch, 0, half));
  return [...first, ...(await runTool(run, prefix, cut(batch, half)))];
}

const NO_NETNS = /Cannot open network namespace|setting the network namespace/;

function cut<S>(batch: Batch<S>, from: number, to?: number): Batch<S> {
  return { ...batch, lines: batch.lines.slice(from, to), steps: batch.steps.slice(from, to) };
}

/** Words in the host's namespace, or inside the batch's. */
function before<S>({ netns }: Batch<S>, prefix: readonly string[]): readonly string[] {
  return netns === undefined ? prefix : entering(netns);
}

async function runSysctl<S>(
  run: Run,
  prefix: readonly string[],
  batch: Batch<S>,
): Promise<StepFailure<S>[]> {
  const failures: StepFailure<S>[] = [];
  for (const [index, step] of batch.steps.entries()) {
    const pairs = (batch.lines[index] ?? "").split(" ").map((word) => word.split("="));
    const files = pairs.map(([key = ""]) => `/proc/sys/${key.replaceAll(".", "/")}`);
    const [[, value = "0"] = []] = pairs;
    const argv = [...before(batch, prefix), "sh", "-c", SYSCTL_SCRIPT, "sh", value, ...files];
    const { exitCode, stderr } = await run(argv, { tolerant: true });
    if (exitCode !== 0) failures.push({ step, error: stderr.split("\n")[0] ?? "failed" });
  }
  return failures;
}

/** Each line is a script of its own: nft applies a whole one or nothing of it. */
async function runNft<S>(
  run: Run,
  prefix: readonly string[],
  batch: Batch<S>,
): Promise<StepFailure<S>[]> {
  const failures: StepFailure<S>[] = [];
  for (const [index, step] of batch.steps.entries()) {
    const argv = [...before(batch, prefix), "nft", "-f", "-"];
    const input = batch.lines[index] ?? "";
    const { exitCode, stderr } = await run(argv, { input, tolerant: true });
    if (exitCode !== 0) failures.push({ step, error: stderr.split("\n")[0] ?? "failed" });
  }
  return failures;
}
