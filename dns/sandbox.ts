/**
 * The port to a container's network namespace: sockets opened inside it, and the redirect that
 * brings its lookups to them.
 *
 * Law: lookups move only when `install` succeeds, and `restore` always leads back to Docker's own
 * resolver.
 */
import type { Cancel, Datagrams } from "../mesh/index.ts";

/** One UDP socket inside the sandbox. */
export type DatagramDoor = Pick<Datagrams, "send" | "onPacket">;

/** One TCP connection from a container. After `onClose` fired nothing is delivered any more. */
export interface StreamPeer {
  /** A peer that leaves too much unread is cut off. */
  write(bytes: Uint8Array): void;
  close(): void;
  onData(receive: (bytes: Uint8Array) => void): void;
  onClose(notify: () => void): void;
}

/** The open sockets of one sandbox; no lookup reaches them before `install`. */
export interface SandboxSockets {
  /** Where lookups to 127.0.0.11:53 over UDP arrive. */
  readonly udp: DatagramDoor;
  /** Exempt from the redirect: what leaves here for 127.0.0.11:53 reaches Docker's resolver. */
  readonly upstream: DatagramDoor;
  /** Lookups over TCP. */
  onConnection(accept: (peer: StreamPeer) => void): Cancel;
  /** Puts the redirect in place, in one step, instead of whatever an earlier life left. */
  install(): Promise<void>;
  /** Opens another upstream behind the same doors. Errors as SandboxHook's. */
  reopen(): Promise<Upstream>;
  /** Closes the sockets, which otherwise keep the namespace alive. Idempotent. */
  close(): Promise<void>;
}

/** A new way to Docker's resolver; once `install` resolves the former one is closed. */
export type Upstream = Pick<SandboxSockets, "upstream" | "install">;

/** The open sockets of a listener for the host itself. */
export type HostSockets = Pick<SandboxSockets, "udp" | "onConnection" | "close">;

/** Errors: NOT_FOUND (no such sandbox), TOOL_MISSING, KERNEL_LACKS, TIMED_OUT, COMMAND_FAILED. */
export interface SandboxHook {
  open(key: string): Promise<SandboxSockets>;
  /** Removes the redirect; a sandbox that is gone or has none is no error. */
  restore(key: string): Promise<void>;
  /** Whether the redirect is there; yes where that cannot be told. */
  isInPlace(key: string): Promise<boolean>;
}
