/** The door of overlay: the only file other folders import from here. */
export { macOf } from "./address.ts";
export { type Entry, KEEP_ALL, type Keep } from "./diff-remote.ts";
export type { CallCounters } from "./docker/calls.ts";
export { Docker, type DockerPorts, type DockerStatus } from "./docker/docker.ts";
export type { DefaultNetwork } from "./docker/networks.ts";
export type {
  AddressBook,
  Datapath,
  DockerEngine,
  DockerNetwork,
  HeldAddress,
  NetworkPlan,
  Publisher,
  Sandbox,
  SandboxDns,
  Sandboxes,
} from "./docker/ports.ts";
export { createEngine } from "./io/engine.ts";
export { checkHost, subnetOverlaps } from "./io/host-check.ts";
export { LinuxKernel } from "./io/linux-kernel.ts";
export { type Plugin, type ServedPlugin, servePlugin } from "./io/plugin-server.ts";
export { readUnderlay } from "./io/underlay.ts";
export { type HeldEndpoint, type HeldNetwork, Ledger } from "./ledger.ts";
export * from "./model.ts";
export { overlayMtu } from "./mtu.ts";
export type { KernelPort, ReconcileInput } from "./pass.ts";
export { Reconciler, type ReconcileStatus } from "./reconcile.ts";
export {
  type EndpointRow,
  endpointFromWire,
  endpointToWire,
  type NamesRow,
  type NetworkRow,
  namesFromWire,
  namesToWire,
  networkFromWire,
  networkToWire,
} from "./rows.ts";
export type { RemoteChange } from "./touched.ts";
export { chooseVni, DEFAULT_NETWORK, DEFAULT_VNI, settleVnis } from "./vni.ts";
