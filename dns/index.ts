/** The door of dns: the only file other folders import from here. */
export { isSandbox, restoreSandbox, waitForSandbox } from "./io/netns.ts";
export { perlHelper } from "./io/perl-helper.ts";
export { HelperSandboxHook } from "./io/sandbox-hook.ts";
export type { NameRecord, NetworkSubnet, SandboxEndpoint } from "./record.ts";
export type { SandboxHook, SandboxSockets } from "./sandbox.ts";
export { type DnsRow, DnsService, type DnsStatus } from "./service.ts";
