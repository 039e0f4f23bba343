/**
 * Waits with an end: Docker sets no limit on a plugin call, so every wait inside one has its own.
 */
import { type Clock, TsweaveError } from "../../mesh/index.ts";

/** `work`'s result, or TIMED_OUT after `deadlineMs`; late results and failures are dropped. */
export async function within<T>(
  clock: Clock,
  what: string,
  deadlineMs: number,
  work: Promise<T>,
): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const cancel = clock.timer(what, deadlineMs, () => {
      reject(new TsweaveError("TIMED_OUT", `${what} took longer than ${deadlineMs} ms`));
    });
    work.then(resolve, reject).finally(cancel);
  });
}
