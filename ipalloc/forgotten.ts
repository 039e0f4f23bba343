/**
 * How a disk that was set back to an older copy is recognised: by what others know of it.
 *
 * Law: only the owner of an address writes its next step. A newer record of an address that this
 * store believes to own was therefore written by this store, and forgotten.
 */
import { join, news, type Ownership, type StoreId, sweep } from "./ownership.ts";

/** What members show of one pool, each list joined. */
export interface Shown {
  /** What may be merged here. */
  readonly mergeable: Ownership;
  /** Records that name this store as writer. */
  readonly byStore: Ownership;
  /** Records that name it as owner. */
  readonly toStore: Ownership;
}

/** Whether members show what `store` wrote and `view` does not know. */
export function wasForgotten(shown: Shown, view: Ownership, store: StoreId): boolean {
  if (news(shown.byStore, view).length > 0) return true;
  const beyond = sweep(join(shown.mergeable, shown.toStore), view, (theirs, ours) =>
    theirs !== undefined &&
    ours?.owner === store &&
    theirs.generation === ours.generation &&
    theirs.step > ours.step
      ? theirs
      : undefined,
  );
  return beyond.length > 0;
}
