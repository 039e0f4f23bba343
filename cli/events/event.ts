/** What happened, as scripts and people read it. */

/** Every kind of event, as the manual lists them. */
export const EVENT_KINDS = [
  "daemon-started",
  "peer-alive",
  "peer-suspect",
  "peer-dead",
  "peer-left",
  "network-added",
  "network-removed",
  "endpoint-added",
  "endpoint-removed",
  "endpoints-changed",
  "drift-healed",
  "roster-changed",
  "problem-raised",
  "problem-cleared",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface MeshEvent {
  /** Rises by one; starts anew with the daemon. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly kind: EventKind;
  /** One line for people. */
  readonly text: string;
  /** What the kind is about; its fields are in the manual. */
  readonly details: Readonly<Record<string, unknown>>;
}
