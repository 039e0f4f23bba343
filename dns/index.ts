/** The door of dns: the only file other folders import from here. */
export { openHostSockets } from "./io/host-sockets.ts";
export { isSandbox, restoreSandbox, waitForSandbox } from "./io/netns.ts";
export { perlHelper } from "./io/perl-helper.ts";
export { HelperSandboxHook } from "./io/sandbox-hook.ts";
export { OutsideServices, outsideAddress, outsideName } from "./outside.ts";
export { EVERY_NETWORK, type NameRecord } from "./record.ts";
export { DnsService, type DnsStatus } from "./service.ts";
