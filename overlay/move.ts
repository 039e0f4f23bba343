/**
 * A network's endpoints moved to another namespace of this host: an engine made the network anew,
 * or after others used it, and its id, which names the namespace, is another one.
 *
 * Law: the pairs move with their containers attached, so what runs misses a few packets and no
 * more; the old namespace goes last, and only with nothing of ours in it.
 */
import { applyNoted } from "./apply.ts";
import { desiredNetwork } from "./desired.ts";
import { diffSkeleton } from "./diff.ts";
import { type Network, netnsName, overlayEnd } from "./model.ts";
import type { PassContext } from "./pass.ts";
import { removeNamespace } from "./plug.ts";
import { type Step, VXLAN } from "./state.ts";

/** Idempotent. Runs in the reconciler's queue. @throws TsweaveError COMMAND_FAILED. */
export async function moveNetwork(
  context: PassContext,
  from: Pick<Network, "id">,
  to: Network,
  endpointIds: readonly string[],
): Promise<void> {
  const [netns, target] = [netnsName(from), netnsName(to)];
  const old = await context.kernel.observe({ netns });
  if (old.state === "present") {
    for (const name of [netns, target]) context.meanwhile.of(name)?.remade();
    // Its VNI is needed by the new one.
    await applyNoted(context, [{ kind: "link-del", netns, device: VXLAN }]);
    const observed = await context.kernel.observe({ netns: target });
    context.mirror.load(observed);
    const wanted = desiredNetwork(to, [], [], context.source().options);
    const steps: Step[] = diffSkeleton(wanted, observed);
    const { mtuBytes } = to;
    for (const device of endpointIds.map(overlayEnd)) {
      if (!old.links.has(device)) continue;
      steps.push({ kind: "port-move", netns, device, to: target });
      steps.push({ kind: "port-set", netns: target, device, mtuBytes });
    }
    const failures = await applyNoted(context, steps);
    for (const { step, error } of failures) context.log.warn({ step, error }, "network half moved");
  }
  await removeNamespace(context, from);
}
