/**
 * One TCP client of a sandbox's resolver: framing, pipelining and an idle limit (RFC 7766).
 *
 * Law: a silent, babbling or slow client costs one bounded connection and is closed in time.
 */
import { type Cancel, type Clock, TIMES } from "../mesh/index.ts";
import { Deframer, frame } from "./framing.ts";
import type { StreamPeer } from "./sandbox.ts";

/**
 * Decides one message. Calls `reply` once, now or later, and returns true; or returns false when
 * the message deserves no reply.
 */
export type Handle = (message: Uint8Array, reply: (bytes: Uint8Array) => void) => boolean;

export class StreamClient {
  readonly #clock: Clock;
  readonly #peer: StreamPeer;
  readonly #handle: Handle;
  readonly #deframer = new Deframer();
  #cancelIdle: Cancel = () => {};
  #open = true;
  #waiting = 0;

  /** Serves the peer until it closes or falls silent; `onClose` is called once. */
  constructor(clock: Clock, peer: StreamPeer, handle: Handle, onClose: () => void) {
    this.#clock = clock;
    this.#peer = peer;
    this.#handle = handle;
    this.#rearm();
    peer.onClose(() => {
      this.#open = false;
      this.#cancelIdle();
      onClose();
    });
    peer.onData((chunk) => this.#receive(chunk));
  }

  close(): void {
    this.#peer.close();
  }

  #receive(chunk: Uint8Array): void {
    this.#rearm();
    const messages = this.#deframer.feed(chunk);
    if (messages === undefined) {
      this.close();
      return;
    }
    for (const message of messages) {
      this.#waiting += 1;
      const replies = this.#handle(message, (bytes) => {
        this.#waiting -= 1;
        if (this.#open) this.#peer.write(frame(bytes));
      });
      if (replies) continue;
      this.#waiting -= 1;
      this.close();
      return;
    }
  }

  /** A client that still waits for a reply is not idle. */
  #rearm(): void {
    this.#cancelIdle();
    this.#cancelIdle = this.#clock.timer("dns-tcp-idle", TIMES.dnsTcpIdleMs, () => {
      if (this.#waiting > 0) this.#rearm();
      else this.close();
    });
  }
}
