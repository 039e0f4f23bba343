/** The door of overlay: the only file other folders import from here. */
export { canonicalIp } from "./address.ts";
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
export { DirectPaths, type PathOf } from "./direct/direct-paths.ts";
export { DIRECT_LABEL, type DirectScene } from "./direct/model.ts";
export { DRAIN_MS } from "./direct/way-tables.ts";
export { Docker, type DockerStatus } from "./docker/docker.ts";
export { underPluginName } from "./docker/plugin-name.ts";
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
export { failureCure } from "./failures.ts";
export type { RemoteGroups } from "./groups/copies.ts";
export { GroupWatch } from "./groups/watch.ts";
export { type GroupsRow, groupsFromWire, groupsToWire } from "./groups/wire.ts";
export type { HealedNetwork } from "./healed.ts";
export { endProbes, hasDirect, LinuxDirectHost, removeDirect } from "./io/direct-host.ts";
export { alignEnds, type EndMtu } from "./io/ends.ts";
export { createEngine } from "./io/engine.ts";
export { checkHost, subnetOverlaps } from "./io/host-check.ts";
export { HostGuard } from "./io/host-guard.ts";
export { HostTraffic } from "./io/host-traffic.ts";
export { LinuxKernel } from "./io/linux-kernel.ts";
export { createNamespaces } from "./io/namespaces.ts";
export { type ServedPlugin, servePlugin } from "./io/plugin-server.ts";
export { openProbeSocket } from "./io/probe-socket.ts";
export { watchRoutes } from "./io/route-monitor.ts";
export { ToolSessions } from "./io/tool-sessions.ts";
export { setOffload, TunnelProbe } from "./io/tunnel-probe.ts";
export { hasAddress, readRoutes, readUnderlay } from "./io/underlay.ts";
export { usedNamespaces, wipeKernel } from "./io/wipe.ts";
export { type HeldEndpoint, type HeldNetwork, Ledger } from "./ledger.ts";
export * from "./model.ts";
export { overlayMtu, underlayMtu } from "./mtu.ts";
export type { ProbePeer } from "./paths/probe-network.ts";
export { type Errand, type PathFinding, PathProofs, type ProbeResult } from "./paths/proofs.ts";
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
export { COUNTED_MAX, type Counted } from "./traffic.ts";
export {
  HOST_KEY,
  type HostRow,
  hostFromWire,
  hostToWire,
  leastOffer,
  offerOf,
  type UnderlayView,
} from "./underlay.ts";
export { chooseVni, DEFAULT_NETWORK, DEFAULT_VNI, networkLabel, settleVnis } from "./vni.ts";
