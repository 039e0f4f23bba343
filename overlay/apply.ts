/**
 * Steps into the kernel, a batch at a time, and into the mirror what succeeded.
 *
 * Law: a batch is small enough that a Docker call that waits behind it does not notice.
 */
import { isGone, realFailures, type StepFailure } from "./failures.ts";
import type { PassContext } from "./pass.ts";
import type { Step } from "./state.ts";

/** Of one batch, for which a Join waits: some 30 ms on a quiet machine. */
export const BATCH_STEPS = 2000;

/** Applies steps and keeps the mirror right. Resolves with the failures that matter. */
export async function applyNoted(
  context: Pick<PassContext, "kernel" | "mirror" | "batchSteps">,
  steps: readonly Step[],
): Promise<StepFailure[]> {
  const found: StepFailure[] = [];
  for (const part of partsOf(steps, context.batchSteps)) {
    const failures = await context.kernel.apply(part);
    const failed = new Set(failures.filter((failure) => !isGone(failure)).map(({ step }) => step));
    context.mirror.note(part.filter((step) => !failed.has(step)));
    found.push(...realFailures(failures));
  }
  return found;
}

/** Steps in parts of one batch each. */
export function partsOf(steps: readonly Step[], batchSteps: number): (readonly Step[])[] {
  return Array.from({ length: Math.ceil(steps.length / batchSteps) }, (_, at) =>
    steps.slice(at * batchSteps, (at + 1) * batchSteps),
  );
}
