/**
 * What the monitors say, gathered for a moment and weighed once: worth a look at the kernel, or
 * only the echo of what was written?
 *
 * Law: weighed late, when the companions of a line have come and the writer has noted what it
 * wrote. More than can be kept is worth a look.
 */
import type { Cancel, Clock, Kernel } from "../mesh/index.ts";
import { isEcho, readEntryLine } from "./echo.ts";
import type { Mirror } from "./mirror.ts";
import type { Scope } from "./state.ts";

/** What the Kernel port's `onDirty` hands over. */
export type Hint = Parameters<Parameters<Kernel<Scope, unknown, unknown>["onDirty"]>[0]>[0];

const KEPT_MAX = 50_000;
/** Long enough for a batch's own process to end after the kernel has told of its last line. */
const WEIGH_MS = 200;

export class Hints {
  readonly #clock: Clock;
  readonly #mirror: Mirror;
  readonly #look: () => void;
  /** BOUNDED: KEPT_MAX; emptied each time. */
  #kept: NonNullable<Hint>[] = [];
  #isPlain = false;
  #cancel: Cancel | undefined;

  /** `look` is called once for any number of hints that are worth it. */
  constructor(clock: Clock, mirror: Mirror, look: () => void) {
    this.#clock = clock;
    this.#mirror = mirror;
    this.#look = look;
  }

  take(hint: Hint): void {
    if (hint === undefined || this.#kept.length >= KEPT_MAX) this.#isPlain = true;
    else if (!this.#isPlain) this.#kept.push(hint);
    this.#cancel ??= this.#clock.timer("hints", WEIGH_MS, () => this.#weigh());
  }

  stop(): void {
    this.#cancel?.();
  }

  #weigh(): void {
    const isNews = this.#isPlain || this.#kept.some((hint) => !this.#isKnown(hint));
    this.#cancel = undefined;
    this.#kept = [];
    this.#isPlain = false;
    if (isNews) this.#look();
  }

  #isKnown({ scope, line }: NonNullable<Hint>): boolean {
    const tables = this.#mirror.tables(scope.netns);
    const entry = readEntryLine(line);
    return tables !== undefined && entry !== undefined && isEcho(entry, tables);
  }
}
