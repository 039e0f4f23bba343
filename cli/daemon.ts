/**
 * The composition root: builds every part, wires tables and events, starts in order, stops in
 * reverse.
 *
 * Order: nothing is said to peers before this host's own rows are complete (a restart must not
 * make others forget containers that still run), and the plugin serves before Docker is asked for
 * anything, because Docker may be waiting for it.
 */
import { DnsService, HelperSandboxHook } from "../dns/index.ts";
import { IpAlloc } from "../ipalloc/index.ts";
import type { Clock, HostPort, Log, Random } from "../mesh/index.ts";
import { processClock } from "../mesh/io/clock.ts";
import { openLog } from "../mesh/io/log.ts";
import { cryptoRandom } from "../mesh/io/random.ts";
import {
  checkHost,
  createEngine,
  Ledger,
  LinuxKernel,
  Reconciler,
  readUnderlay,
  subnetOverlaps,
} from "../overlay/index.ts";
import { chooseAdvertise, isOwnAddress, resolvePeers } from "./advertise.ts";
import type { LaunchConfig } from "./config.ts";
import { startControl } from "./control/server.ts";
import type { LaunchEvent, LaunchSummary } from "./launch-report.ts";
import { formatHostPort } from "./peer-address.ts";
import { VERSION } from "./version.ts";
import { addressBook } from "./wiring/address-book.ts";
import { ControlFacts } from "./wiring/control-facts.ts";
import { type DockerSide, ensureNetworkEventually, openDocker } from "./wiring/docker.ts";
import { keepUntilProved } from "./wiring/keep.ts";
import { type OpenMesh, openMesh } from "./wiring/mesh.ts";
import { networkPlan } from "./wiring/network-plan.ts";
import { tablePublisher } from "./wiring/publisher.ts";
import { sandboxDns } from "./wiring/sandbox-dns.ts";
import { SharedRows } from "./wiring/shared-rows.ts";
import { Stops } from "./wiring/stops.ts";

type Report = (event: LaunchEvent) => void;

/** What every part of the daemon may use. */
interface Base {
  readonly config: LaunchConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stops: Stops;
  readonly advertise: HostPort;
  /** Peers named at launch, literal addresses, without this host. */
  readonly peers: readonly HostPort[];
  readonly underlayMtuBytes: number;
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
    const base = await prepare(config, log, stops, report);
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
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  stops.add("signals", () => {
    process.removeListener("SIGTERM", onSignal).removeListener("SIGINT", onSignal);
  });
  return { promise, stop: () => stop() };
}

/** Looks at the host and settles addresses. Nothing is changed yet. */
async function prepare(
  config: LaunchConfig,
  log: Log,
  stops: Stops,
  report: Report,
): Promise<Base> {
  report({ progress: "checking the host" });
  const clock = processClock();
  const [problem] = [
    ...(await checkHost({ vxlanPort: config.vxlanPort })),
    ...(await subnetOverlaps(config.ipallocRange)),
  ];
  if (problem !== undefined) throw problem;
  if (config.docker && !config.foreground) {
    await createEngine(config.dockerSocket, clock, log).version();
  }
  const named = await resolvePeers(config.peers);
  const host = config.advertise ?? (await chooseAdvertise(named));
  const advertise = { host, port: config.port };
  const isSelf = (peer: HostPort): boolean => peer.port === config.port && isOwnAddress(peer.host);
  const { mtuBytes } = await readUnderlay(host);
  return {
    config,
    clock,
    random: cryptoRandom(),
    log,
    stops,
    advertise,
    peers: named.filter((peer) => !isSelf(peer)),
    underlayMtuBytes: mtuBytes,
  };
}

async function start(base: Base, stop: () => void, report: Report): Promise<void> {
  const { config, clock, random, log, stops, advertise, peers } = base;
  report({ progress: "opening the state directory and the sockets" });
  const mesh = await openMesh(base, {
    stateDir: config.stateDir,
    name: config.name,
    bind: { host: config.bind, port: config.port },
    advertise,
    peers,
  });
  const { node, presence, store, self } = mesh;
  const rows = new SharedRows({ tables: node.tables, presence, log }, self);
  const alloc = new IpAlloc(
    {
      clock,
      random,
      store,
      log: log.child({ part: "ipalloc" }),
      tables: node.tables,
      rpc: node.rpc,
      members: () => node.membership.members(),
    },
    { self, declared: peers, advertise },
  );
  await alloc.start();
  stops.add("ipalloc", () => alloc.stop());
  const ledger = await Ledger.open(store, log);
  const dns = openDns(base);
  const sides: { docker?: DockerSide } = {};
  const reconciler = openReconciler(base, mesh, rows, sides);
  follow(mesh, rows, alloc, reconciler, dns);
  if (config.docker) {
    report({ progress: "restoring containers and serving the Docker plugin" });
    sides.docker = await openDocker(
      {
        ledger,
        addresses: addressBook(alloc),
        datapath: reconciler,
        publisher: tablePublisher(node.tables, advertise.host),
        dns: sandboxDns(dns, clock, config.dns),
        plan: networkPlan(() => rows, {
          defaultNetwork: config.network,
          underlayMtuBytes: base.underlayMtuBytes,
          mtuBytes: config.mtuBytes,
        }),
        clock,
        random,
        log,
        stops,
      },
      { ...config, subnet: config.ipallocRange },
    );
  }
  const facts = new ControlFacts(
    { mesh, rows, alloc, reconciler, dns, clock, docker: sides.docker },
    { config, advertise, stop },
  );
  const control = await startControl({ runDir: config.runDir, backend: facts, log });
  stops.add("control", () => control.close());
  reconciler.start();
  stops.add("reconciler", () => reconciler.stop());
  report({ progress: "joining the mesh" });
  await mesh.start();
  await makeNetwork(base, sides.docker, report);
  report({ ready: true, summary: summary(base, mesh, facts) });
}

function openDns({ config, clock, random, log, stops }: Base): DnsService {
  const [, bundle = ""] = process.argv;
  const helperCommand = [process.execPath, ...process.execArgv, bundle, "__sandbox"];
  const part = log.child({ part: "dns" });
  const hook = new HelperSandboxHook({ helperCommand, log: part });
  const dns = new DnsService({ clock, random, log: part, hook }, { domain: config.dnsDomain });
  stops.add("dns", () => dns.close({ restore: true }));
  return dns;
}

function openReconciler(
  { config, clock, log, stops, advertise }: Base,
  { node, presence, self }: OpenMesh,
  rows: SharedRows,
  sides: { readonly docker?: DockerSide },
): Reconciler {
  const part = log.child({ part: "kernel" });
  const kernel = new LinuxKernel({ log: part });
  stops.add("monitors", () => kernel.close());
  const locals = () => sides.docker?.docker.endpoints() ?? [];
  const keep = keepUntilProved(
    {
      clock,
      presence,
      members: () => node.membership.members(),
      heldIncarnation: (peer) => node.tables.heldIncarnation(peer),
      ownEndpointsKnown: () => sides.docker?.docker.status().lastSyncWallMs !== null,
      hasEndpoint: (prefix) => locals().some(({ id }) => id.startsWith(prefix)),
    },
    { vtep: advertise.host },
  );
  return new Reconciler({ kernel, clock, log: part }, () => ({
    networks: sides.docker?.docker.networks() ?? [],
    locals: locals(),
    remotes: rows.remotes(),
    options: { vxlanPort: config.vxlanPort, self: { peer: self, vtep: advertise.host } },
    keep,
  }));
}

/** Tables and verdicts move kernel, names and addresses. */
function follow(
  { node, presence }: OpenMesh,
  rows: SharedRows,
  alloc: IpAlloc,
  reconciler: Reconciler,
  dns: DnsService,
): void {
  const names = (): void => dns.setRecords(rows.nameRecords());
  const subnets = (): void =>
    dns.setSubnets(
      rows.networkList().map(({ name, row }) => ({ network: name, cidr: row.subnet })),
    );
  rows.endpoints.onChange((changes) => {
    const touched = changes.flatMap(({ before, after }) => [before, after]);
    void reconciler.applyRemote(touched.flatMap((typed) => (typed ? [typed.row] : [])));
  });
  rows.names.onChange(names);
  rows.networks.onChange(subnets);
  presence.onChange = () => {
    names();
    reconciler.request("presence");
  };
  node.membership.onEvent(() => alloc.membershipChanged());
  names();
  subnets();
}

/** With a running engine the network is there when launch returns; a booting one is waited for. */
async function makeNetwork(
  base: Base,
  side: DockerSide | undefined,
  report: Report,
): Promise<void> {
  if (side === undefined) return;
  report({ progress: `making network ${base.config.network} on Docker` });
  if (base.config.foreground) ensureNetworkEventually(side, base);
  else await side.ensureNetwork();
}

function summary(base: Base, mesh: OpenMesh, facts: ControlFacts): LaunchSummary {
  const { config, advertise, peers } = base;
  const { docker, health, mesh: seen } = facts.status();
  return {
    version: VERSION,
    peer: { id: mesh.self, name: config.name },
    advertise: formatHostPort(advertise),
    network: { name: config.network, subnet: config.ipallocRange, onEngine: docker.networks > 0 },
    peersNamed: peers.length,
    peersReached: seen.alive - 1,
    docker: { enabled: docker.enabled, version: docker.version },
    problems: health.problems,
  };
}
