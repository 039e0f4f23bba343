/**
 * The removals of a pass, looked at once more in the turn in which they are applied.
 *
 * Law: never remove on doubt. A pass reads the tables at one moment and asks for proofs while it
 * compares, and lets others in between: a peer that came back meanwhile is "here and complete" as a
 * proof, while the rows that were read before its return lack all that is its. So an entry goes
 * only when rows and proofs of one and the same moment say so. What else a pass decided from older
 * rows needs no second look: the change that made them old was applied meanwhile (meanwhile.ts),
 * waits in the queue, or has asked for the next pass.
 */
import { networkCopies } from "./desired.ts";
import type { EntryTables } from "./diff-remote.ts";
import { copySteps } from "./groups/copies.ts";
import { type Network, netnsName } from "./model.ts";
import type { ReconcileInput } from "./pass.ts";
import { entryKey, type Step } from "./state.ts";
import { type RemoteChange, touchedSteps } from "./touched.ts";

/**
 * The steps without those removals of entries that `input`, read now, does not call for; `tables`
 * are what the kernel holds now. Costs next to nothing where nothing is removed.
 */
export function stillRight(
  steps: readonly Step[],
  network: Network,
  input: ReconcileInput,
  tables: EntryTables | undefined,
): readonly Step[] {
  const removals = steps.filter(isRemoval);
  if (removals.length === 0) return steps;
  const current = currentOf(input, network);
  if (current === undefined || tables === undefined) {
    return steps.filter((step) => !isRemoval(step));
  }
  const changes = removals.flatMap((step) => changeOf(current, step));
  const again = new Set(touchedSteps(current, changes, input, tables).map(keyOf));
  const entries = steps.filter(
    (step) => !isRemoval(step) || isCopy(step) || again.has(keyOf(step)),
  );
  if (!removals.some(isCopy)) return entries;
  const vteps = vtepsWith(tables, entries);
  const copies = networkCopies(current, vteps, input.groups ?? [], input.options);
  const target = { netns: netnsName(current), copies };
  for (const step of copySteps(target, tables.floods, input.keep)) again.add(keyOf(step));
  return entries.filter((step) => !isCopy(step) || again.has(keyOf(step)));
}

/** The network as it is now; undefined: it is not this host's any more. */
export function currentOf(
  { networks }: Pick<ReconcileInput, "networks">,
  network: Network,
): Network | undefined {
  return networks.find(({ name, id }) => name === network.name && id === network.id);
}

function isRemoval(step: Step): boolean {
  return /^(neigh|forward|steer|copy)-del$/.test(step.kind);
}

function isCopy(step: Step): boolean {
  return step.kind === "copy-del";
}

/** The address that a removal is about; the fast path finds the rest of the pair. */
function changeOf({ name }: Network, step: Step): RemoteChange[] {
  if (step.kind === "neigh-del") return [{ network: name, ip: step.ip, mac: "" }];
  if (step.kind !== "forward-del" && step.kind !== "steer-del") return [];
  return [{ network: name, ip: "", mac: step.mac }];
}

function keyOf(step: Step): string {
  return `${step.kind} ${entryKey(step)}`;
}

/** The hosts that the forwards lead to once the steps are applied. */
function vtepsWith({ forwards }: EntryTables, steps: readonly Step[]): Set<string> {
  const moved = new Map<string, string | undefined>();
  for (const step of steps) {
    if (step.kind === "forward-put") moved.set(step.mac, step.vtep);
    if (step.kind === "forward-del") moved.set(step.mac, undefined);
  }
  const vteps = new Set<string>();
  for (const [mac, { vtep }] of forwards) if (!moved.has(mac)) vteps.add(vtep);
  for (const vtep of moved.values()) if (vtep !== undefined) vteps.add(vtep);
  return vteps;
}
