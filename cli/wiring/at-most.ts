/** A bound on the questions of peers that are served at one time; one more is refused. */
import { TsweaveError } from "../../mesh/index.ts";

/** `what` names them in the refusal. @throws TsweaveError BAD_REQUEST */
export function atMost(most: number, what: string) {
  let running = 0;
  return async <Answer>(serve: () => Promise<Answer>): Promise<Answer> => {
    if (running >= most) throw new TsweaveError("BAD_REQUEST", `too many ${what} at once`);
    running += 1;
    try {
      return await serve();
    } finally {
      running -= 1;
    }
  };
}
