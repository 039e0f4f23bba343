/**
 * How a disk that was set back to an older copy is recognised: by what others know of it.
 *
 * Law: only the owner of an address writes its next step. A newer record of an address that this
 * store believes to own was therefore written by this store, and forgotten.
 */
import { clip, type Ownership, type StoreId } from "./ownership.ts";

/** Whether `better` (newer than `view`) holds what `store` wrote and does not remember. */
export function wasForgotten(better: Ownership, view: Ownership, store: StoreId): boolean {
  return better.some(
    (record) =>
      record.by === store ||
      clip(view, record.start, record.end).some(
        ({ owner, generation, step }) =>
          owner === store && generation === record.generation && step < record.step,
      ),
  );
}
