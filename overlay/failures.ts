/**
 * What the tools say went wrong, mapped back to steps.
 *
 * Law: removing what is already gone is success; anything else that failed is reported with the
 * step, never swallowed.
 */
import type { Step } from "./state.ts";

export interface StepFailure<S = Step> {
  readonly step: S;
  readonly error: string;
}

const TAKEN = "belongs to another VXLAN device of this host";

interface Kinded {
  readonly kind: string;
}

const GONE = new RegExp(
  [
    "No such file or directory",
    "Cannot find device",
    "No such device",
    "No such process",
    "Cannot assign requested address",
    "setting the network namespace",
  ].join("|"),
  "i",
);

/** Failures that matter: deletions of what does not exist are left out. */
export function realFailures<S extends Kinded>(
  failures: readonly StepFailure<S>[],
): StepFailure<S>[] {
  return failures.filter((failure) => !isGone(failure));
}

/** True when a deletion failed because there was nothing to delete. */
export function isGone<S extends Kinded>({ step, error }: StepFailure<S>): boolean {
  return step.kind.endsWith("-del") && GONE.test(error);
}

/** What failed, for people. */
export function failureText({ step, error }: StepFailure): string {
  const isTaken = step.kind === "vxlan-add" && /already exists|File exists/i.test(error);
  if (!isTaken) return `${step.kind}: ${error}`;
  return `VNI ${step.vni} on UDP ${step.port} ${TAKEN}`;
}

/** What to do about a failure, by its text; undefined where only another try is left. */
export function failureCure(text: string): string | undefined {
  if (!text.endsWith(TAKEN)) return undefined;
  return (
    "Docker Swarm's? docker network rm the other network, or tsweave launch with another " +
    "--vxlan-port on all hosts"
  );
}

/**
 * Failures by line from the stderr of a `-force -batch -` run: each is the text before
 * "Command failed -:N". `crash` is text after the last of them: the tool gave up there.
 */
export function readBatchErrors(stderr: string): {
  readonly byLine: ReadonlyMap<number, string>;
  readonly crash: string | undefined;
} {
  const byLine = new Map<number, string>();
  let pending: string[] = [];
  for (const line of stderr.split("\n")) {
    const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
    if (number === undefined) {
      if (line.trim() !== "") pending.push(line.trim());
      continue;
    }
    byLine.set(Number(number), pending.join(" ") || "failed");
    pending = [];
  }
  return { byLine, crash: pending.length > 0 ? pending.join(" ") : undefined };
}
