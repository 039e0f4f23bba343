/** What can be fuzzed: where its cases come from, and the thing that they are given to. */
import type { SeededRandom } from "../lib/seeded-random.ts";

/** Something that takes cases, one after the other. */
export interface Subject {
  /**
   * Why the bytes were refused, or undefined when they were taken. Anything thrown is a failure:
   * a decoder that lets something else than its own refusal out, or a law that does not hold.
   */
  run(bytes: Uint8Array): Promise<string | undefined> | string | undefined;
  /** Whether it still works after all that. Throws when it does not. */
  check?(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Share of the cases of a run over all targets. */
  readonly weight: number;
  /** One case. */
  readonly make: (random: SeededRandom) => Uint8Array;
  readonly open: () => Promise<Subject> | Subject;
}

/** A failure with the bytes that show it, as few as could be found. */
export class FuzzFailure extends Error {
  constructor(at: { seed: number; target: string; nth: number }, bytes: Uint8Array, why: unknown) {
    const { seed, target, nth } = at;
    const cause = why instanceof Error ? (why.stack ?? why.message) : String(why);
    const hex = Buffer.from(bytes).toString("hex");
    const shown = hex.length > 8000 ? `${hex.slice(0, 8000)}… (${bytes.length} bytes)` : hex;
    super(`fuzz: seed ${seed}, target ${target}, case ${nth}\n  bytes ${shown}\n  ${cause}`);
    this.name = "FuzzFailure";
  }
}
