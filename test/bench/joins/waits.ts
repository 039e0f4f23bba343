/** What is measured of one way that endpoints come into the kernel. */

/** In a full pass, as changed rows, or they are there and nothing happens. */
export type Way = "idle" | "pass" | "rows";

export interface Waits {
  readonly joinMs: readonly number[];
  readonly leaveMs: readonly number[];
  readonly rowMs: readonly number[];
  /** How long the endpoints took; nothing where none came. */
  readonly allMs: readonly number[];
}

export interface WorkerOptions {
  /** Part of the names of everything it makes. */
  readonly tag: string;
  readonly endpoints: number;
}
