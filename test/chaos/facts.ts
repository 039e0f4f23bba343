/** What was observed during a run. Only these judge it, never what should have happened. */
import type { FaultKind } from "./action.ts";

/** A running container had an address on a network at a moment (asked of its engine). */
export interface Sighting {
  readonly atMs: number;
  readonly host: string;
  readonly id: string;
  readonly name: string;
  readonly network: string;
  readonly ip: string;
}

/** What a name answered in the long-lived container of a host. */
export interface Answer {
  readonly atMs: number;
  readonly host: string;
  readonly name: string;
  readonly ips: readonly string[];
}

/** A fault as it was, from before its first command to after its last; Infinity: it lasts. */
export interface FaultSpan {
  readonly step: number;
  readonly kind: FaultKind;
  /** null: of the LAN. */
  readonly host: string | null;
  readonly fromMs: number;
  toMs: number;
}

/** One ping of a pair that was not answered, sent about then. */
export interface LostPing {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly seq: number;
}

/** A command that failed and should not have. */
export interface Refusal {
  readonly step: number;
  readonly host: string;
  /** Whether others must be asked: for an address that one of them may own, about a removal. */
  readonly needsOthers: boolean;
  readonly fromMs: number;
  readonly toMs: number;
  readonly text: string;
}

/** BOUNDED: by the minutes of the run; a few thousand a minute. */
export class Facts {
  readonly sightings: Sighting[] = [];
  readonly answers: Answer[] = [];
  readonly faults: FaultSpan[] = [];
  readonly lost: LostPing[] = [];
  readonly refusals: Refusal[] = [];
  pings = 0;
  commands = 0;
}
