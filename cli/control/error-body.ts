/** A TsweaveError as JSON and back, so that a daemon's error reaches its person unchanged. */
import { asTsweaveError, isErrorCode, TsweaveError } from "../../mesh/index.ts";

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export function errorToBody(error: unknown): ErrorBody {
  const { code, message, hint } = asTsweaveError(error);
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** The error a body describes; of another version's code only the text is kept. */
export function errorFromBody(value: unknown): TsweaveError {
  const body = isRecord(value) ? value : {};
  const code = isErrorCode(body.code) ? body.code : "INTERNAL";
  const message = typeof body.message === "string" ? body.message : "unknown error";
  const hint = body.hint;
  return new TsweaveError(code, message, typeof hint === "string" ? { hint } : {});
}

/** Whether a parsed JSON value is an object with fields. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
