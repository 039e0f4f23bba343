/**
 * What the daemon and its short-lived helper say over their IPC channel. Free of imports, as the
 * helper must start fast.
 */

/** The three sockets, in the order they are handed over. */
export const ROLES = ["udp", "tcp", "upstream"] as const;
export type Role = (typeof ROLES)[number];

/** Receive buffer of a UDP socket: two thousand questions at once, 0.8 KiB each in the kernel. */
export const UDP_BUFFER_BYTES = 2 * 1024 * 1024;

/** From the helper. `socket` comes with a handle; `bound` follows the last of them. */
export type HelperMessage =
  | { readonly type: "socket"; readonly role: Role }
  | { readonly type: "installed" }
  | { readonly type: "failed"; readonly code: HelperFailure; readonly text: string };

export type HelperFailure = "TOOL_MISSING" | "KERNEL_LACKS" | "COMMAND_FAILED";

/** From the daemon, once it serves the sockets. */
export const INSTALL = { type: "install" } as const;
