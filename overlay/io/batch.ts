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

const BATCH_TIMEOUT_MS = 60_000;

/** Turns off only the keys that exist: br_netfilter may not be loaded. */
const SYSCTL_SCRIPT =
  'for file in "$@"; do if [ -e "$file" ]; then echo 0 > "$file" || exit 1; fi; done';

/** Applies one batch; resolves with the steps that failed. Throws when the tool cannot run. */
export async function runBatch(
  run: Run,
  prefix: readonly string[],
  batch: Batch,
): Promise<StepFailure[]> {
  return batch.tool === "sysctl" ? await runSysctl(run, batch) : await runTool(run, prefix, batch);
}

async function runTool(run: Run, prefix: readonly string[], batch: Batch): Promise<StepFailure[]> {
  const where = batch.netns === undefined ? prefix : [];
  const inside = batch.netns === undefined ? [] : ["-n", batch.netns];
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

function cut(batch: Batch, from: number, to?: number): Batch {
  return { ...batch, lines: batch.lines.slice(from, to), steps: batch.steps.slice(from, to) };
}

async function runSysctl(run: Run, batch: Batch): Promise<StepFailure[]> {
  const keys = batch.lines.flatMap((line) => line.split(" "));
  const files = keys.map((key) => `/proc/sys/${key.replace(/=0$/, "").replaceAll(".", "/")}`);
  const enter = ["nsenter", `--net=/run/netns/${batch.netns ?? ""}`];
  const argv = [...enter, "sh", "-c", SYSCTL_SCRIPT, "sh", ...files];
  const result = await run(argv, { tolerant: true });
  if (result.exitCode === 0) return [];
  const error = result.stderr.split("\n")[0] ?? "failed";
  return batch.steps.map((step) => ({ step, error }));
}
