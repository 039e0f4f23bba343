/**
 * A peer process as the bench sees it, whatever program it is.
 *
 * Law: one clock for all, the kernel's monotonic one. A program of ours stamps what it sees itself,
 * so that neither the channel nor this process counts as its time; serf cannot, and its lines are
 * stamped as they arrive. What that costs serf is measured on our own peers and shown.
 */

export interface PeerEvent {
  /**
   * `row`: something that another peer said to all; `about` is then its text. `began`: the peer has
   * just begun what it was told to do. `full`: it holds as many rows as were asked of it.
   */
  readonly type: "alive" | "suspect" | "dead" | "left" | "row" | "began" | "full";
  /** Name of the peer it is about. */
  readonly about: string;
  /** When, by `monotonicMs`. */
  readonly atMs: number;
}

/** The same in every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface Peer {
  readonly name: string;
  /** Its own address, one of 127.77.0.0/16. */
  readonly address: string;
  readonly pid: number;
  /** Asks it to join the mesh of the peer at `address`; gives `began` about `join`. */
  join(address: string): void;
  /**
   * Lets it tell every peer something of 20 bytes; each receiver gives one `row` event, and
   * itself `began` about the text.
   */
  tell(text: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

export interface PeerSystem {
  readonly name: string;
  /** First three bytes of its peers' addresses. */
  readonly prefix: string;
  /** How long what its peers stamped took to arrive here, in ms; empty where this side stamps. */
  readonly onTheWayMs: number[];
  /** Resolves once the peer listens, alone. `round` tells lives of one name apart. */
  start(index: number, round: number, receive: (event: PeerEvent) => void): Promise<Peer>;
}

export function peerName(index: number): string {
  return `n${index}`;
}
