/** What every bench is given. */
import type { Cleanup } from "./cleanup.ts";

export interface BenchOptions {
  readonly cleanup: Cleanup;
  /** A fraction of the rounds, to see that the bench itself works. */
  readonly quick: boolean;
  /** Membership engines to compare (bench mesh). */
  readonly engines: readonly string[];
  /** How long a bench of endurance runs, where somebody said so. */
  readonly minutes: number | undefined;
  readonly say: (text: string) => void;
}
