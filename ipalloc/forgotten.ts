/**
 * How a disk that was set back to an older copy is recognised: by what others know of it.
 *
 * Law: only the owner of an address writes its next step. A newer record of an address that this
 * store believes to own was therefore written by this store, and forgotten.
 */
import { news, type Ownership, type StoreId, sweep } from "./ownership.ts";

/**
 * Whether `shown`, the join of what others show of a pool, or `byStore`, the join of those records
 * that name `store` as writer, holds what `store` wrote and `view` does not know.
 */
export function wasForgotten(
  shown: Ownership,
  view: Ownership,
  store: StoreId,
  byStore: Ownership = shown.filter(({ by }) => by === store),
): boolean {
  if (news(byStore, view).length > 0) return true;
  const beyond = sweep(shown, view, (theirs, ours) =>
    theirs !== undefined &&
    ours?.owner === store &&
    theirs.generation === ours.generation &&
    theirs.step > ours.step
      ? theirs
      : undefined,
  );
  return beyond.length > 0;
}
