/**
 * What the control API reads, put together from the parts of the daemon. Pure reads: every answer
 * comes from memory, whatever Docker, the kernel or the mesh are doing.
 */
import { isIPv6 } from "node:net";
import type { DnsService, OutsideServices } from "../../dns/index.ts";
import type { ForgetResult, IpAlloc, LeaveResult } from "../../ipalloc/index.ts";
import { addressesOf, type Clock, type HostPort, type Member } from "../../mesh/index.ts";
import type { LogLevels } from "../../mesh/io/log.ts";
import {
  type Attach,
  type AttachedEndpoint,
  type AttachWish,
  type CharterBook,
  type DirectPaths,
  type ExposeWish,
  type GroupWatch,
  type NetworkPlan,
  netnsName,
  type Reconciler,
} from "../../overlay/index.ts";
import type { LaunchConfig } from "../config.ts";
import type {
  AdoptionReply,
  AdoptionWish,
  AttachmentRow,
  ConnectionRow,
  ControlBackend,
  DetachWish,
  EndpointRow,
  HealthProblem,
  HostFacts,
  KeyChange,
  KeysReply,
  LeaveMesh,
  LogChange,
  LogReply,
  LookupQuestion,
  LookupReply,
  NamespaceRow,
  NetworkRow,
  PeerAnswer,
  PeerRow,
  RemovePeers,
  Replies,
  ServiceChange,
  Status,
  TargetRow,
} from "../control/api.ts";
import type { FarLook, LookWish } from "../control/look-api.ts";
import type { NetworkChange, NetworkWish, RemoveNetwork } from "../control/network-api.ts";
import type { ProbeRow, ProbeWish } from "../control/probe-api.ts";
import type { ReconcileReply, ReconcileWish } from "../control/reconcile-api.ts";
import type { ProbePorts } from "../doctor/probe-peers.ts";
import type { EventSource } from "../events/event-log.ts";
import { formatHostPort } from "../peer-address.ts";
import { VERSION } from "../version.ts";
import { adopted, keeperOf } from "./adoption.ts";
import { attachmentRows } from "./attachment-rows.ts";
import { leaveMesh, removePeers } from "./departures.ts";
import type { DockerSide } from "./docker.ts";
import { askEndpoint } from "./endpoint-look.ts";
import { endpointRows, suspectRows } from "./endpoint-rows.ts";
import { groupProblems, groupRows } from "./groups.ts";
import { askPeers, changeLevel, hostFacts, logReply } from "./host-facts.ts";
import type { OpenMesh } from "./mesh.ts";
import { askProbes } from "./mesh-probe.ts";
import { networkRows } from "./network-rows.ts";
import { createNetwork, type NetworksOptions, networkProblems, removeNetwork } from "./networks.ts";
import { askPeer } from "./peer-facts.ts";
import { peerPaths } from "./peer-paths.ts";
import { problemsOf } from "./problems.ts";
import { reconcileNow } from "./reconcile-now.ts";
import { addService, removeService } from "./services.ts";
import type { SharedRows } from "./shared-rows.ts";
import type { TrafficWatch } from "./traffic.ts";
import type { Underlay } from "./underlay.ts";

export interface FactsPorts {
  readonly mesh: OpenMesh;
  readonly rows: SharedRows;
  readonly charters: CharterBook;
  readonly plan: NetworkPlan;
  readonly alloc: IpAlloc;
  readonly reconciler: Reconciler;
  readonly groups: GroupWatch;
  readonly underlay: Underlay;
  readonly underlayProblems: () => HealthProblem[];
  readonly dns: DnsService;
  readonly outside: OutsideServices;
  readonly clock: Clock;
  readonly docker: DockerSide | undefined;
  readonly attach: Attach;
  /** Undefined without --direct. */
  readonly direct: Pick<DirectPaths, "paths"> | undefined;
  readonly events: EventSource;
  readonly traffic: Pick<TrafficWatch, "of">;
  /** Largest packet of a container that a peer's tunnel takes. */
  readonly mtuTo: (member: Member) => number | null;
  /** `file` is null where the log is no file. */
  readonly logging: { readonly levels: LogLevels; readonly file: string | null };
}

export interface FactsOptions {
  readonly config: LaunchConfig;
  /** Peers named at launch, literal addresses. */
  readonly peers: readonly HostPort[];
  readonly stop: () => void;
}

const CONNECTION_STATES = {
  alive: "established",
  suspect: "doubtful",
  dead: "lost",
  left: "closed",
} as const;

export class ControlFacts implements ControlBackend {
  readonly #ports: FactsPorts;
  readonly #options: FactsOptions;
  readonly #startedMs: number;
  /** Set once the web listener is there. */
  webUrl: string | null = null;

  constructor(ports: FactsPorts, options: FactsOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#startedMs = ports.clock.nowMs();
  }

  readonly status = (): Status => {
    const { mesh, clock } = this.#ports;
    const { config } = this.#options;
    const problems = this.problems();
    return {
      version: VERSION,
      pid: process.pid,
      peer: {
        id: mesh.self,
        name: config.name,
        incarnation: mesh.incarnation,
        advertise: formatHostPort(mesh.address()),
      },
      uptimeSeconds: Math.floor((clock.nowMs() - this.#startedMs) / 1000),
      health: { ok: problems.length === 0, problems },
      mesh: this.#mesh(),
      ipam: this.#ipam(),
      dns: this.#dnsStatus(),
      docker: this.#docker(),
      kernel: this.#kernel(),
      web: { url: this.webUrl },
    };
  };

  readonly peers = (): readonly PeerRow[] => {
    const pathOf = peerPaths(this.#ports.direct, this.#ports.clock);
    return this.#members()
      .toSorted(selfThenName)
      .map((member) => {
        const { id, name, advertise, state, incarnation, rttMs, self } = member;
        const address = formatHostPort(advertise);
        return { id, name, address, state, incarnation, rttMs, self, path: pathOf(member) };
      });
  };

  readonly connections = (): readonly ConnectionRow[] =>
    this.#members()
      .filter(({ self }) => !self)
      .map((member) => ({
        peer: member.name,
        id: member.id,
        address: formatHostPort(member.advertise),
        state: CONNECTION_STATES[member.state],
        rttMs: member.rttMs,
        sinceSeconds: this.#ageSeconds(member.sinceMs),
        addresses: addressesOf(member).map(formatHostPort),
        direct: member.path?.isDirect ?? null,
        directSinceSeconds:
          member.path === undefined ? null : this.#ageSeconds(member.path.sinceMs),
        fault: member.path?.why ?? null,
        seenSeconds: member.seenMs === undefined ? null : this.#ageSeconds(member.seenMs),
        mtuBytes: this.#ports.mtuTo(member),
        traffic: this.#ports.traffic.of(member),
      }));

  readonly targets = (): readonly TargetRow[] =>
    this.#ports.mesh.node.membership.targets().map(({ address, state, attempts }) => ({
      address: formatHostPort(address),
      state,
      attempts,
    }));

  readonly networks = (): readonly NetworkRow[] => networkRows(this.#ports, this.#options.config);

  readonly endpoints = (): readonly EndpointRow[] => endpointRows(this.#ports);

  readonly groups = (): Replies["groups"] => groupRows(this.#ports);

  readonly ipam = (): Replies["ipam"] => {
    const { alloc } = this.#ports;
    const pools = alloc.status().pools.map(({ subnet, owned, used, free, conflicts }) => ({
      subnet,
      owned: owned.map(({ peer, ranges, addresses, used: inUse, reachable }) => ({
        peer,
        ranges,
        addresses,
        used: inUse,
        reachable,
      })),
      used,
      free,
      conflicts,
    }));
    return { pools, roster: alloc.roster() };
  };

  readonly dns = (): Replies["dns"] => {
    const names = new Map(this.#members().map(({ id, name }) => [id, name]));
    const records = this.#ports.dns.records().map((record) => ({
      ...record,
      peer: names.get(record.peer) ?? record.peer,
    }));
    return { domain: this.#options.config.dnsDomain, records };
  };

  readonly dnsLookup = (question: LookupQuestion): LookupReply => ({
    answers: this.#ports.dns.lookup(question),
  });

  readonly dnsAdd = async (change: ServiceChange): Promise<{ added: readonly string[] }> => ({
    added: await addService(this.#ports, this.#options.config.dnsDomain, change),
  });

  readonly dnsRemove = async (change: ServiceChange): Promise<{ removed: readonly string[] }> => ({
    removed: await removeService(this.#ports, this.#options.config.dnsDomain, change),
  });

  readonly connect = async (peers: readonly HostPort[]): Promise<void> => {
    this.#ports.mesh.node.join(peers);
    await this.#ports.mesh.contacts.add(peers);
  };

  readonly forget = async (peers: readonly HostPort[]): Promise<readonly HostPort[]> => {
    const { engine, contacts } = this.#ports.mesh;
    engine.forget(peers);
    await contacts.forget(peers);
    const gone = new Set(peers.map(formatHostPort));
    return this.#options.peers.filter((peer) => gone.has(formatHostPort(peer)));
  };

  readonly rmpeer = async (wish: RemovePeers): Promise<ForgetResult> =>
    await removePeers(this.#ports, wish);

  readonly adopt = async (wish: AdoptionWish): Promise<AdoptionReply> =>
    await adopted(this.#ports, wish, this.endpoints);

  readonly leave = async (wish: LeaveMesh): Promise<LeaveResult> =>
    await leaveMesh(this.#ports, wish);

  readonly createNetwork = async (wish: NetworkWish): Promise<NetworkChange> =>
    await createNetwork(this.#ports, this.#networkOptions(), wish);

  readonly removeNetwork = async (wish: RemoveNetwork): Promise<NetworkChange> =>
    await removeNetwork(this.#ports, this.#networkOptions(), wish);

  readonly keys = (): KeysReply => this.#ports.mesh.keys.list();

  readonly changeKeys = async (change: KeyChange): Promise<KeysReply> =>
    await this.#ports.mesh.keys.change(change);

  readonly ps = (): readonly AttachmentRow[] => attachmentRows(this.#ports);

  readonly attach = async (wish: AttachWish): Promise<AttachedEndpoint> =>
    await this.#ports.attach.attach(wish);

  readonly detach = async (wish: DetachWish): Promise<readonly AttachedEndpoint[]> =>
    await this.#ports.attach.detach(wish.target, wish.network);

  readonly namespaces = (): readonly NamespaceRow[] => {
    const { docker, attach } = this.#ports;
    const networks = [...(docker?.docker.networks() ?? []), ...attach.networks()];
    return networks.map((one) => ({ network: one.name, namespace: netnsName(one) }));
  };

  readonly locate = async (word: string): Promise<string> => {
    const own = this.namespaces().find(({ network }) => network === word);
    return own === undefined
      ? await this.#ports.attach.locate(word)
      : `/run/netns/${own.namespace}`;
  };

  readonly expose = async (wish: ExposeWish): Promise<AttachedEndpoint> =>
    await this.#ports.attach.expose(wish);

  readonly hide = async (network: string | undefined): Promise<readonly AttachedEndpoint[]> =>
    await this.#ports.attach.hide(network);

  readonly reconcile = async (wish: ReconcileWish): Promise<ReconcileReply> =>
    await reconcileNow(this.#ports.reconciler, wish);

  readonly host = (): HostFacts => hostFacts(this.#ports, this.#options, this.namespaces());

  readonly ask = async (word: string | undefined): Promise<readonly PeerAnswer[]> =>
    await askPeers(this.#ports, word);

  readonly probe = async (wish: ProbeWish): Promise<readonly ProbeRow[]> =>
    await askProbes(this.#ports.mesh.node.rpc, this.probePorts(), wish);

  readonly look = async (wish: LookWish): Promise<FarLook> =>
    await askEndpoint(this.#ports.mesh.node.rpc, wish);

  readonly log = (): LogReply => logReply(this.#ports.logging);

  readonly setLogLevel = (change: LogChange): LogReply => changeLevel(this.#ports.logging, change);

  readonly events = (): EventSource => this.#ports.events;

  readonly stop = (): void => this.#options.stop();

  /** What this host measures with when it, or another one, is asked to. */
  probePorts(): ProbePorts {
    const { mesh, clock } = this.#ports;
    const members = (): readonly Member[] => this.#members();
    const ask = (peer: string) => askPeer({ rpc: mesh.node.rpc, clock, members }, peer);
    return { facts: this, ask };
  }

  #networkOptions(): NetworksOptions {
    const { host } = this.#ports.mesh.address();
    return { ...this.#options.config, underlay: isIPv6(host) ? 6 : 4 };
  }

  #ageSeconds(sinceMs: number): number {
    return Math.floor((this.#ports.clock.nowMs() - sinceMs) / 1000);
  }

  #members(): readonly Member[] {
    return this.#ports.mesh.node.membership.members();
  }

  /** What `status` says of the health, without the rest of it. */
  problems(): HealthProblem[] {
    const { mesh, alloc, reconciler, dns, docker, attach } = this.#ports;
    const { network, ipallocRange } = this.#options.config;
    const addresses = alloc.problems();
    return problemsOf({
      cloned: mesh.node.tables.cloned,
      twins: mesh.engine.problems(),
      strangers: mesh.node.strangers.list(),
      outdatedPassword: mesh.keys.outdatedPassword,
      nowMs: this.#ports.clock.nowMs(),
      members: this.#members(),
      ports: { gossip: this.#options.config.port, vxlan: this.#options.config.vxlanPort },
      addresses,
      networks: [...networkProblems(this.#ports), ...groupProblems(this.#ports)],
      underlay: this.#ports.underlayProblems(),
      kernel: reconciler.status(),
      dns: dns.status(),
      docker: docker?.docker.status(),
      endpoints: suspectRows(
        this.#ports,
        addresses.flatMap(({ ip }) => ip ?? []),
      ),
      keeper: keeperOf(alloc, this.#members()),
      attachments: attach.problems(),
      defaultNetwork: {
        name: network,
        subnet: ipallocRange,
        onEngine: docker?.docker.networks().some(({ name }) => name === network) ?? false,
      },
    });
  }

  #mesh(): Status["mesh"] {
    const states = this.#members().map(({ state }) => state);
    const count = (wanted: Member["state"]): number =>
      states.filter((state) => state === wanted).length;
    return {
      engine: this.#options.config.membership,
      encrypted: this.#ports.mesh.keys.seal !== undefined,
      peers: states.length,
      alive: count("alive"),
      suspect: count("suspect"),
      dead: count("dead"),
      left: count("left"),
      trying: this.targets().filter(({ state }) => state === "trying").length,
    };
  }

  #ipam(): Status["ipam"] {
    const subnet = this.#options.config.ipallocRange;
    const { founding, pools, store } = this.#ports.alloc.status();
    const pool = pools.find((candidate) => candidate.subnet === subnet);
    const sum = (rows: readonly { readonly addresses: number }[]): number =>
      rows.reduce((total, { addresses }) => total + addresses, 0);
    const owned = pool?.owned ?? [];
    // By store, not by name: a host that lost its state meets its former self under one name.
    const own = owned.filter((part) => part.store === store);
    return {
      subnet,
      founded: founding.state === "founded",
      text: founding.text,
      addresses: sum(owned),
      owned: sum(own),
      used: own.reduce((total, { used }) => total + used, 0),
      unreachable: sum(owned.filter(({ reachable }) => !reachable)),
      conflicts: pool?.conflicts.length ?? 0,
    };
  }

  #dnsStatus(): Status["dns"] {
    const { domain, names, sandboxes } = this.#ports.dns.status();
    const hooked = sandboxes.filter(({ state }) => state === "hooked").length;
    return { enabled: this.#options.config.dns, domain, names, sandboxes: hooked };
  }

  #docker(): Status["docker"] {
    const side = this.#ports.docker;
    return {
      enabled: side !== undefined,
      connected: side?.docker.status().connected ?? false,
      version: side?.version() ?? null,
      plugin: side !== undefined,
      networks: side?.docker.networks().length ?? 0,
      endpoints: side?.docker.endpoints().length ?? 0,
    };
  }

  #kernel(): Status["kernel"] {
    const { inSync, lastReconcileMs, lastAtMs, drift } = this.#ports.reconciler.status();
    const ageMs = lastAtMs === null ? null : this.#ports.clock.nowMs() - lastAtMs;
    return {
      inSync,
      lastReconcileMs: lastReconcileMs === null ? null : Math.round(lastReconcileMs),
      lastReconcileAgeSeconds: ageMs === null ? null : Math.floor(ageMs / 1000),
      drift,
    };
  }
}

function selfThenName(a: Member, b: Member): number {
  if (a.self !== b.self) return a.self ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
