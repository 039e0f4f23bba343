/**
 * A peer process as the bench sees it, whatever program it is. Law: each program is timed by the
 * same clock in the same place, at the arrival of what it says in the bench's own process.
 */

export interface PeerEvent {
  /** `row`: something that another peer said to all; `about` is then its text. */
  readonly type: "alive" | "suspect" | "dead" | "left" | "row";
  /** Name of the peer it is about. */
  readonly about: string;
}

export interface Peer {
  readonly name: string;
  /** Its own address, one of 127.77.0.0/16. */
  readonly address: string;
  readonly pid: number;
  /** Asks it to join the mesh of the peer at `address`. */
  join(address: string): void;
  /** Lets it tell every peer something of 20 bytes; each receiver gives one `row` event. */
  tell(text: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

export interface PeerSystem {
  readonly name: string;
  /** First three bytes of its peers' addresses. */
  readonly prefix: string;
  /** Resolves once the peer listens, alone. `round` tells lives of one name apart. */
  start(index: number, round: number, receive: (event: PeerEvent) => void): Promise<Peer>;
}

export function peerName(index: number): string {
  return `n${index}`;
}
