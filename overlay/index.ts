/** The door of overlay: the only file other folders import from here. */
export { Attach } from "./attach/attach.ts";
export type { AttachedEndpoint, AttachWish, ExposeWish } from "./attach/model.ts";
export { sharedPorts } from "./attach/shared.ts";
export type { NetworkSpec } from "./charter/charter.ts";
export { CharterBook } from "./charter/charter-book.ts";
export { isNetworkName } from "./charter/charter-wire.ts";
export type { NetworkNote } from "./charter/decide.ts";
export { freeSubnet } from "./charter/free-subnet.ts";
export { inUse, NetworkMaker } from "./charter/network-maker.ts";
export { losersOf, specOf, wantedOf } from "./charter/spec.ts";
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
export type { HealedNetwork } from "./healed.ts";
export { createEngine } from "./io/engine.ts";
export { checkHost, subnetOverlaps } from "./io/host-check.ts";
export { HostGuard } from "./io/host-guard.ts";
export { LinuxKernel } from "./io/linux-kernel.ts";
export { createNamespaces } from "./io/namespaces.ts";
export { type ServedPlugin, servePlugin } from "./io/plugin-server.ts";
export { readUnderlay } from "./io/underlay.ts";
export { wipeKernel } from "./io/wipe.ts";
export { type HeldEndpoint, type HeldNetwork, Ledger } from "./ledger.ts";
export * from "./model.ts";
export { overlayMtu, underlayMtu } from "./mtu.ts";
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
export { chooseVni, DEFAULT_NETWORK, DEFAULT_VNI, networkLabel, settleVnis } from "./vni.ts";
