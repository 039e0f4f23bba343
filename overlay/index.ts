/** The door of overlay: the only file other folders import from here. */
export type { Keep } from "./diff-remote.ts";
export { Docker, type DockerStatus } from "./docker/docker.ts";
export type {
  AddressBook,
  Datapath,
  DockerEngine,
  DockerNetwork,
  NetworkPlan,
  Publisher,
  Sandbox,
  SandboxDns,
} from "./docker/ports.ts";
export { createEngine } from "./io/engine.ts";
export { checkHost, subnetOverlaps } from "./io/host-check.ts";
export { LinuxKernel } from "./io/linux-kernel.ts";
export { type ServedPlugin, servePlugin } from "./io/plugin-server.ts";
export { readUnderlay } from "./io/underlay.ts";
export { wipeKernel } from "./io/wipe.ts";
export { type HeldEndpoint, type HeldNetwork, Ledger } from "./ledger.ts";
export * from "./model.ts";
export { overlayMtu } from "./mtu.ts";
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
export { chooseVni, DEFAULT_VNI } from "./vni.ts";
