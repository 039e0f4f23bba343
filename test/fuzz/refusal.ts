/** How a decoder may end: with a value, or with an error of its own kind. */
import { type ErrorCode, TsweaveError } from "../../mesh/index.ts";

/** What `read` says of the bytes. @throws whatever is no refusal with one of `codes`. */
export function reading(read: () => void, codes: readonly ErrorCode[]): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return refusalOf(error, codes);
  }
}

/** The text of a refusal. @throws `error` when it is none. */
export function refusalOf(error: unknown, codes: readonly ErrorCode[]): string {
  if (error instanceof TsweaveError && codes.includes(error.code)) return error.message;
  throw error;
}
