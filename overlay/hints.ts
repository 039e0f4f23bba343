/**
 * What the monitors say, gathered for a moment and weighed once: worth a look at the kernel, or
 * only the echo of what was written?
 *
 * Law: weighed late, when the companions of a line have come and the writer has noted what it
 * wrote. More than can be kept is worth a look.
 */
import type { Cancel, Clock, Kernel } from "../mesh/index.ts";
import { type EntryLine, isEcho, keyOf, readEntryLine } from "./echo.ts";
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
    const isNews = this.#isPlain || !this.#isKnown(this.#kept);
    this.#cancel = undefined;
    this.#kept = [];
    this.#isPlain = false;
    if (isNews) this.#look();
  }

  /** Of several lines about one entry only the last tells what the kernel holds now. */
  #isKnown(hints: readonly NonNullable<Hint>[]): boolean {
    const last = new Map<string, { readonly netns: string; readonly entry: EntryLine }>();
    for (const { scope, line } of hints) {
      const entry = readEntryLine(line);
      if (entry === undefined) return false;
      last.set(`${scope.netns} ${keyOf(entry)}`, { netns: scope.netns, entry });
    }
    return [...last.values()].every(({ netns, entry }) => {
      const tables = this.#mirror.tables(netns);
      return tables !== undefined && isEcho(entry, tables);
    });
  }
}
