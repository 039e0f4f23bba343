/** A full look at the kernel at a person's word. */
import type { Reconciler } from "../../overlay/index.ts";
import type { ReconcileReply, ReconcileWish } from "../control/reconcile-api.ts";

/** Law: what is shown is what a pass would do at that moment; a dry run changes nothing. */
export async function reconcileNow(
  reconciler: Pick<Reconciler, "plan" | "flush" | "status">,
  { dryRun }: ReconcileWish,
): Promise<ReconcileReply> {
  const plan = await reconciler.plan();
  const batch = plan === "" ? [] : plan.split("\n");
  if (dryRun) return { dryRun, batch, inSync: batch.length === 0, error: null };
  await reconciler.flush();
  const { inSync, lastError: error } = reconciler.status();
  return { dryRun, batch, inSync, error };
}
