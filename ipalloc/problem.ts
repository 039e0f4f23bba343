/** What the parts of this folder tell people who must do something. */

/** Something a person should know, and what to do. */
export interface Problem {
  readonly code: string;
  readonly text: string;
  readonly next: string;
  /** The address it is about, in use on this host. */
  readonly ip?: string;
}
