/**
 * The format of everything in a state directory, as one number, so that an upgrade converts it and
 * a downgrade says what to do in place of misreading it.
 *
 * Laws: nothing else is read or written before. A directory of another format is left as it is. A
 * step that was cut short by a crash runs again from its beginning, so every step must bear that;
 * the number rises only after it.
 *
 * The number rises with any change that an older version would misread or lose: another layout of
 * a snapshot, a new kind of record in a journal. Fields appended to a record, which old readers
 * ignore, do not raise it.
 */
import { messageOf, TsweaveError } from "./errors.ts";
import type { Store } from "./ports.ts";
import { decodeWire, encodeWire } from "./wire/msgpack.ts";
import { readArray, readInteger, readString } from "./wire/read.ts";

const KEY = "format";

/** How to get from format `from` to the next one. */
export interface FormatStep {
  readonly from: number;
  readonly run: (store: Store) => Promise<void>;
}

interface Supported {
  /** What this version writes. */
  readonly format: number;
  /** Conversions, the oldest first, without a gap up to `format`. */
  readonly steps: readonly FormatStep[];
}

/** Format 1 is also that of directories from before the number was written. */
const SUPPORTED: Supported = { format: 1, steps: [] };

/**
 * Makes the directory one of this version's format. `version` is the program's, for the person who
 * meets the directory with another one.
 * @throws TsweaveError STATE_VERSION, STATE_CORRUPT, STATE_UNWRITABLE
 */
export async function settleStateFormat(
  store: Store,
  version: string,
  { format, steps }: Supported = SUPPORTED,
): Promise<void> {
  const stored = await storedFormat(store);
  const oldest = steps[0]?.from ?? format;
  const found = stored?.format ?? 1;
  if (found > format || found < oldest) throw refusal(found, stored?.version, { oldest, format });
  for (const step of steps) {
    if (step.from < found) continue;
    await step.run(store);
    await store.save(KEY, encodeWire([step.from + 1, version]));
  }
  if (stored?.format !== format || stored.version !== version) {
    await store.save(KEY, encodeWire([format, version]));
  }
}

async function storedFormat(
  store: Store,
): Promise<{ readonly format: number; readonly version: string } | undefined> {
  const bytes = await store.load(KEY);
  if (bytes === undefined) return undefined;
  try {
    const [format, version] = readArray(decodeWire(bytes), "format", 2, 8);
    return {
      format: readInteger(format, "format.number", 1),
      version: readString(version, "format.version", 64, /^[0-9A-Za-z.+~-]+$/),
    };
  } catch (error) {
    throw new TsweaveError("STATE_CORRUPT", `format.snapshot does not read: ${messageOf(error)}`, {
      hint: "move it away from --state-dir; what was written by this version is then read",
      cause: error,
    });
  }
}

function refusal(
  found: number,
  writer: string | undefined,
  { oldest, format }: { readonly oldest: number; readonly format: number },
): TsweaveError {
  const by = writer === undefined ? "" : `, written by tsweave ${writer}`;
  const reads = oldest === format ? `format ${format}` : `formats ${oldest} to ${format}`;
  const text = `the state directory has format ${found}${by}; this version reads ${reads}`;
  const anew = "or begin as a new peer: tsweave reset";
  const hint =
    found > format
      ? `install tsweave ${writer} or later; ${anew}`
      : `launch a version once that reads format ${found} and a later one; ${anew}`;
  return new TsweaveError("STATE_VERSION", text, { hint });
}
