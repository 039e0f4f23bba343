/** What doctor finds: one line each, with what helps. */

export interface Finding {
  /** Which check, e.g. `tools`. */
  readonly check: string;
  readonly state: "ok" | "warn" | "fail";
  readonly text: string;
  /** What to do about it; null when nothing is to be done. */
  readonly next: string | null;
  /** What `--fix` did or would do. */
  readonly repair?: Repair;
}

/** A safe repair: it undoes what tsweave itself left, and touches nothing else. */
export interface Repair {
  readonly what: string;
  readonly run: () => Promise<void>;
}

/** Findings of one check, made with its name. */
export function findings(check: string) {
  return {
    ok: (text: string): Finding => ({ check, state: "ok", text, next: null }),
    warn: (text: string, next: string, repair?: Repair): Finding => ({
      ...{ check, state: "warn", text, next },
      ...(repair === undefined ? {} : { repair }),
    }),
    fail: (text: string, next: string, repair?: Repair): Finding => ({
      ...{ check, state: "fail", text, next },
      ...(repair === undefined ? {} : { repair }),
    }),
  };
}
