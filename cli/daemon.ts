/**
 * The composition root: builds every part, wires tables and events, starts in order, stops in
 * reverse.
 *
 * Order: nothing is said to peers before this host's own rows are complete (a restart must not
 * make others forget containers that still run), and the plugin serves before Docker is asked for
 * anything, because Docker may be waiting for it.
 */
import { isIPv6 } from "node:net";
import {
  DnsService,
  HelperSandboxHook,
  type OutsideServices,
  openHostSockets,
  perlHelper,
} from "../dns/index.ts";
import { IpAlloc } from "../ipalloc/index.ts";
import { openLog } from "../mesh/io/log.ts";
import {
  type Attach,
  CharterBook,
  type DirectPaths,
  type GroupWatch,
  HostTraffic,
  Ledger,
  type Reconciler,
  sharedPorts,
} from "../overlay/index.ts";
import type { LaunchConfig } from "./config.ts";
import { startControl } from "./control/server.ts";
import type { EventLog } from "./events/event-log.ts";
import { fileBehind } from "./launch-files.ts";
import type { LaunchEvent, LaunchSummary } from "./launch-report.ts";
import { formatHostPort } from "./peer-address.ts";
import { VERSION } from "./version.ts";
import { addressBook } from "./wiring/address-book.ts";
import { type HostPorts, openAttach, type Sides } from "./wiring/attach.ts";
import { type Base, prepare } from "./wiring/base.ts";
import { ControlFacts } from "./wiring/control-facts.ts";
import { openDirect, startDirect } from "./wiring/direct.ts";
import { type DockerSide, ensureNetworkEventually, openDocker } from "./wiring/docker.ts";
import { serveEndpointLooks } from "./wiring/endpoint-look.ts";
import { followEvents, healedEvent, openEvents, watchProblems } from "./wiring/events.ts";
import { follow, followNetworks } from "./wiring/follow.ts";
import { keepGuard } from "./wiring/guard.ts";
import { addressesInUse } from "./wiring/in-use.ts";
import { openReconciler } from "./wiring/kernel.ts";
import { type OpenMesh, openMesh } from "./wiring/mesh.ts";
import { serveProbes } from "./wiring/mesh-probe.ts";
import { networkPlan } from "./wiring/network-plan.ts";
import { networkUsers } from "./wiring/networks.ts";
import { servePeerFacts } from "./wiring/peer-facts.ts";
import { tablePublisher } from "./wiring/publisher.ts";
import { sandboxDns } from "./wiring/sandbox-dns.ts";
import { openServices } from "./wiring/services.ts";
import { SharedRows } from "./wiring/shared-rows.ts";
import { Stops } from "./wiring/stops.ts";
import { TrafficWatch } from "./wiring/traffic.ts";
import { followUnderlay, openUnderlay, type UnderlaySide } from "./wiring/underlay-side.ts";
import { openWeb } from "./wiring/web.ts";

type Report = (event: LaunchEvent) => void;

/** With peers in reach, how long readiness waits for the first agreement on address ranges. */
const FOUNDING_PATIENCE_MS = 3000;
const FOUNDING_LOOK_MS = 50;

/** The parts that live as long as the daemon. */
interface Parts {
  readonly mesh: OpenMesh;
  readonly rows: SharedRows;
  readonly charters: CharterBook;
  readonly alloc: IpAlloc;
  readonly dns: DnsService;
  readonly outside: OutsideServices;
  readonly reconciler: Reconciler;
  readonly groups: GroupWatch;
  readonly underlay: UnderlaySide;
  readonly events: EventLog;
}

/**
 * Runs until a signal or a `stop` over the control socket. `report` hears of progress and, once,
 * of readiness.
 * @throws TsweaveError when the start fails; everything started by then is stopped again.
 */
export async function runDaemon(config: LaunchConfig, report: Report): Promise<void> {
  const log = openLog(config.logLevel, config.logFd);
  const stops = new Stops(log);
  const stopped = whenStopped(stops);
  try {
    report({ progress: "checking the host" });
    const base = await prepare(config, log, stops);
    await start(base, stopped.stop, report);
    await stopped.promise;
    log.info({}, "stopping; containers keep their network");
  } finally {
    await stops.run();
  }
}

/** Resolves at SIGTERM, SIGINT, or when `stop` is called. */
function whenStopped(stops: Stops): { promise: Promise<void>; stop: () => void } {
  let stop = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const onSignal = (): void => stop();
  // Not once: with no listener left, a second signal would end the process before it has stopped.
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  stops.add("signals", () => {
    process.removeListener("SIGTERM", onSignal).removeListener("SIGINT", onSignal);
  });
  return { promise, stop: () => stop() };
}

async function start(base: Base, stop: () => void, report: Report): Promise<void> {
  const { config, clock, log, stops } = base;
  report({ progress: "opening the state directory and the sockets" });
  const sides: { docker?: DockerSide; attach?: Attach; direct?: DirectPaths } = {};
  const parts = await openParts(base, sides);
  const { mesh, reconciler } = parts;
  const ports = await hostPorts(base, parts);
  followUnderlay(base, parts.underlay, { ...ports, sides, reconciler });
  sides.attach = await openAttach(base, ports, { ...parts, self: mesh.self }, sides);
  if (config.docker) {
    report({ progress: "restoring containers and serving the Docker plugin" });
    sides.docker = await openDockerSide(base, ports, parts);
  }
  const direct = openDirect(base, parts, sides);
  if (direct !== undefined) sides.direct = direct;
  const traffic = countTraffic(base, mesh);
  const facts = new ControlFacts(
    {
      ...parts,
      plan: ports.plan,
      underlay: parts.underlay.underlay,
      underlayProblems: parts.underlay.problems,
      clock,
      traffic,
      mtuTo: parts.underlay.mtuTo,
      docker: sides.docker,
      attach: sides.attach,
      direct,
      logging: { levels: base.log.levels, file: fileBehind(config.logFd) },
    },
    { config, peers: base.peers, stop },
  );
  const own = () => ({
    ...parts.underlay.underlay.own,
    subnets: [config.ipallocRange, ...parts.rows.networkList().map(({ row }) => row.subnet)],
  });
  const members = () => mesh.node.membership.members();
  stops.add("peer facts", servePeerFacts({ rpc: mesh.node.rpc, clock, members }, own));
  stops.add("probes", serveProbes(mesh.node.rpc, facts.probePorts()));
  stops.add("endpoint looks", serveEndpointLooks(mesh.node.rpc, facts.namespaces));
  const control = await startControl({ runDir: config.runDir, backend: facts, log });
  stops.add("control", () => control.close());
  await openWeb(base, facts);
  reconciler.start();
  await parts.groups.start();
  stops.add("reconciler", () => reconciler.stop());
  await keepGuard(base);
  report({ progress: "joining the mesh" });
  await mesh.start();
  void traffic.start();
  parts.underlay.start();
  await startDirect(base, reconciler, direct);
  await makeNetwork(base, sides.docker, report);
  report({ progress: "agreeing on address ranges with the peers" });
  await founded(base, parts);
  watchProblems(parts.events, base, facts, parts.alloc);
  report({ ready: true, summary: summary(base, mesh, facts) });
}

async function openParts(base: Base, sides: Sides): Promise<Parts> {
  const { config, clock, random, log, stops, advertise, peers } = base;
  const mesh = await openMesh(base, {
    stateDir: config.stateDir,
    password: config.password,
    name: config.name,
    membership: config.membership,
    latency: config.latency,
    bind: base.bind,
    advertise,
    hosts: base.hosts,
    peers,
  });
  const { node, presence, store, self } = mesh;
  const members = () => node.membership.members();
  const rows = new SharedRows({ tables: node.tables, presence, members, log }, self);
  const alloc = new IpAlloc(
    {
      clock,
      random,
      store,
      log: log.child({ part: "ipalloc" }),
      tables: node.tables,
      rpc: node.rpc,
      members: () => node.membership.members(),
      addressesInUse: addressesInUse(rows.endpoints),
    },
    { self, declared: peers, advertise, init: config.ipallocInit, name: config.name },
  );
  await alloc.start();
  stops.add("ipalloc", () => alloc.stop());
  const dns = await openDns(base);
  const outside = await openServices(node.tables, store, log.child({ part: "dns" }));
  const events = openEvents(base);
  const { reconciler, groups } = openReconciler(base, mesh, rows, sides, (healed) =>
    healedEvent(events, healed),
  );
  const live = () => members().flatMap(({ id, state }) => (state === "alive" ? [id] : []));
  const part = log.child({ part: "networks" });
  const charters = await CharterBook.open(
    { store, tables: node.tables, clock, log: part, live },
    self,
  );
  stops.add("charters", () => charters.stop());
  follow(base, mesh, rows, alloc, reconciler, dns);
  followNetworks(mesh, rows, charters, sides);
  followEvents(events, mesh, rows);
  const underlay = await openUnderlay(base, mesh, rows, sides, () =>
    reconciler.request("this host has another address"),
  );
  return { mesh, rows, charters, alloc, dns, outside, reconciler, groups, underlay, events };
}

async function openDns({ config, clock, random, log, stops }: Base): Promise<DnsService> {
  const [, bundle = ""] = process.argv;
  const nodeHelper = [process.execPath, ...process.execArgv, bundle, "__sandbox"];
  const helperCommand = (await perlHelper()) ?? nodeHelper;
  const part = log.child({ part: "dns" });
  const hook = new HelperSandboxHook({ helperCommand, log: part });
  const dns = new DnsService({ clock, random, log: part, hook }, { domain: config.dnsDomain });
  stops.add("dns", () => dns.close({ restore: true }));
  if (config.dnsListen !== undefined) dns.serveHost(await openHostSockets(config.dnsListen, part));
  return dns;
}

function countTraffic({ config, clock, log, stops }: Base, { node }: OpenMesh): TrafficWatch {
  const counters = new HostTraffic(config.vxlanPort, log.child({ part: "traffic" }));
  const traffic = new TrafficWatch({
    clock,
    members: () => node.membership.members(),
    look: (addresses) => counters.look(addresses),
  });
  stops.add("traffic", () => traffic.stop());
  node.membership.onEvent(({ type }) => {
    if (type !== "suspect" && type !== "dead") traffic.hint();
  });
  return traffic;
}

/** What everything with endpoints on this host works with. */
async function hostPorts(base: Base, parts: Parts): Promise<HostPorts> {
  const { config, clock, log, advertise } = base;
  const { mesh, rows, alloc, dns, reconciler, underlay } = parts;
  return {
    ledger: await Ledger.open(mesh.store, log),
    addresses: addressBook(alloc),
    datapath: reconciler,
    publisher: tablePublisher(mesh.node.tables, () => mesh.address().host),
    dns: sandboxDns(dns, clock, config.dns),
    plan: networkPlan(() => rows, {
      defaultNetwork: config.network,
      leastMtuBytes: () => underlay.underlay.least().row.overlayMtuBytes,
      underlay: isIPv6(advertise.host) ? 6 : 4,
    }),
  };
}

async function openDockerSide(base: Base, ports: HostPorts, parts: Parts): Promise<DockerSide> {
  const { config, clock, random, log, stops } = base;
  const { charters } = parts;
  const users = networkUsers(parts);
  const shared = sharedPorts(ports, ports.ledger);
  return await openDocker(
    { ...ports, ...shared, charters, users, clock, random, log, stops },
    { ...config, subnet: config.ipallocRange },
  );
}

/** With a running engine the network is there when launch returns; a booting one is waited for. */
async function makeNetwork(
  base: Base,
  side: DockerSide | undefined,
  report: Report,
): Promise<void> {
  if (side === undefined) return;
  report({ progress: `making network ${base.config.network} on Docker` });
  const isLater = base.config.foreground || base.dockerSilence !== undefined;
  if (isLater) ensureNetworkEventually(side, base);
  else await side.ensureNetwork();
}

/** Where peers answer, a first launch agrees with them or is admitted within a moment. */
async function founded({ clock }: Base, { mesh, alloc }: Parts): Promise<void> {
  const endMs = clock.nowMs() + FOUNDING_PATIENCE_MS;
  const isAlone = (): boolean =>
    mesh.node.membership.members().every(({ self, state }) => self || state !== "alive");
  const isWaiting = (): boolean =>
    ["unfounded", "joining", "returned"].includes(alloc.roster().self);
  while (isWaiting() && !isAlone() && clock.nowMs() < endMs) {
    await new Promise<void>((resolve) => {
      clock.timer("founding", FOUNDING_LOOK_MS, resolve);
    });
  }
}

function summary(base: Base, mesh: OpenMesh, facts: ControlFacts): LaunchSummary {
  const { config, advertise, peers } = base;
  const { docker, health, mesh: seen } = facts.status();
  const targets = facts.targets();
  const isReached = (peer: string): boolean =>
    targets.some(({ address, state }) => address === peer && state === "connected");
  return {
    version: VERSION,
    peer: { id: mesh.self, name: config.name },
    advertise: formatHostPort(advertise),
    network: { name: config.network, subnet: config.ipallocRange, onEngine: docker.networks > 0 },
    peersNamed: peers.length,
    peersReached: peers.filter((peer) => isReached(formatHostPort(peer))).length,
    peersAlive: seen.alive - 1,
    docker: {
      enabled: docker.enabled,
      socket: config.dockerSocket,
      version: docker.version,
      silence: base.dockerSilence ?? null,
    },
    problems: health.problems,
  };
}
