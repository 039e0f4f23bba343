/** The door of dns: the only file other folders import from here. */
export { isSandbox, restoreSandbox, waitForSandbox } from "./io/netns.ts";
export { perlHelper } from "./io/perl-helper.ts";
export { HelperSandboxHook } from "./io/sandbox-hook.ts";
export type { NameRecord } from "./record.ts";
export { DnsService, type DnsStatus } from "./service.ts";
