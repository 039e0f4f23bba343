/**
 * The vocabulary of the replicated tables.
 *
 * Law: a row is written only by the peer that owns it (its origin); values are positional msgpack
 * arrays that the owning folder encodes and validates.
 */
import type { Cancel, PeerId, WireValue } from "../ports.ts";

/** Every replicated table, by wire name. The list is the same on all peers of one version. */
export const TABLES = [
  "networks",
  "endpoints",
  "names",
  "founding",
  "ranges",
  "roster",
  "charters",
  "hosts",
  "groups",
] as const;
export type TableName = (typeof TABLES)[number];

export interface TableRow {
  readonly origin: PeerId;
  readonly table: TableName;
  readonly key: string;
  readonly value: WireValue;
}

/** One net change of a row; `value` is undefined when the row is gone. */
export interface RowChange {
  readonly origin: PeerId;
  readonly table: TableName;
  readonly key: string;
  readonly value: WireValue | undefined;
}

/**
 * Receives changes. A promise that it returns stands for what they cause: whose rows they are hears
 * that these are held once it has settled.
 */
export type RowWatcher = (changes: readonly RowChange[]) => unknown;

/** What other folders may do with the tables. */
export interface Tables {
  /** Writes a row of this peer; a value equal to the present one changes nothing. */
  put(table: TableName, key: string, value: WireValue): void;
  /** Removes a row of this peer, leaving a tombstone; unknown keys change nothing. */
  remove(table: TableName, key: string): void;
  /** All rows of all origins, own included, whatever the state of their peers. */
  rows(table: TableName): readonly TableRow[];
  /** Called after each merge or own write with the net changes of that table. */
  watch(table: TableName, receive: RowWatcher): Cancel;
  /**
   * Resolves when every live peer has acknowledged this peer's newest row, or at the deadline.
   * Names the peers that did not answer.
   */
  announce(deadlineMs: number): Promise<{ readonly late: readonly PeerId[] }>;
}

/** A question to one peer and its answer. */
export interface Rpc {
  /** Rejects with `PEER_UNREACHABLE`, `TIMED_OUT`, or the error the peer answered. */
  call(peer: PeerId, service: string, body: WireValue, deadlineMs: number): Promise<WireValue>;
  /** One handler a service; what it throws reaches the caller as a message. */
  serve(service: string, handle: (from: PeerId, body: WireValue) => Promise<WireValue>): Cancel;
}
