/** A backend with two peers and something of everything, for the control and render tests. */
import type {
  AdoptionReply,
  AdoptionWish,
  ControlBackend,
  DetachWish,
  HealthProblem,
  KeyChange,
  LeaveMesh,
  LogChange,
  LookupQuestion,
  PeerAnswer,
  RemovePeers,
  ServiceChange,
  Status,
} from "../../../cli/control/api.ts";
import type { FarLook, LookWish } from "../../../cli/control/look-api.ts";
import type {
  NetworkChange,
  NetworkWish,
  RemoveNetwork,
} from "../../../cli/control/network-api.ts";
import type { ProbeRow, ProbeWish } from "../../../cli/control/probe-api.ts";
import type { ReconcileWish } from "../../../cli/control/reconcile-api.ts";
import { EventLog } from "../../../cli/events/event-log.ts";
import type { ForgetResult, LeaveResult } from "../../../ipalloc/index.ts";
import { type HostPort, TsweaveError } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { LogLevels } from "../../../mesh/io/log.ts";
import type { AttachedEndpoint, AttachWish, ExposeWish } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

export const HOST1 = "7f3a12bc".padEnd(32, "0");
const HOST2 = "0b77aa01".padEnd(32, "1");

export const PROBLEM: HealthProblem = {
  code: "PEER_SUSPECT",
  text: "host2 does not answer",
  next: "check host2 and the network to it",
};

export function statusWith(problems: readonly HealthProblem[]): Status {
  return {
    version: "0.1.0",
    pid: 4242,
    peer: { id: HOST1, name: "host1", incarnation: 7, advertise: "192.168.48.11:6783" },
    uptimeSeconds: 273_720,
    health: { ok: problems.length === 0, problems },
    mesh: {
      engine: "swim",
      encrypted: false,
      peers: 2,
      alive: 1,
      suspect: 1,
      dead: 0,
      left: 0,
      trying: 1,
    },
    ipam: {
      subnet: "10.32.0.0/12",
      founded: true,
      text: "founded by 2 peers",
      addresses: 1_048_576,
      owned: 524_288,
      used: 3,
      unreachable: 0,
      conflicts: 0,
    },
    dns: { enabled: true, domain: "tsweave.local", names: 4, sandboxes: 1 },
    docker: {
      enabled: true,
      connected: true,
      version: "20.10.24",
      plugin: true,
      networks: 1,
      endpoints: 3,
    },
    kernel: { inSync: true, lastReconcileMs: 12.4, lastReconcileAgeSeconds: 4, drift: 0 },
    web: { url: "http://127.0.0.1:6784/" },
  };
}

const ATTACHED: AttachedEndpoint = {
  id: "a".repeat(64),
  kind: "netns",
  target: "/run/netns/blue",
  network: "tsweave",
  ip: "10.32.0.7",
  cidr: "10.32.0.7/12",
  mac: "02:42:0a:20:00:07",
  device: "eth0",
  names: ["blue"],
  gateway: "172.31.0.2/16",
  resolver: "own",
};

/** A backend of fixed facts that records what it is told to do. */
export class FakeBackend implements ControlBackend {
  readonly connected: HostPort[] = [];
  stops = 0;
  problems: readonly HealthProblem[] = [PROBLEM];
  onStop: () => void = () => undefined;

  readonly status = () => statusWith(this.problems);
  readonly peers = () => [
    {
      id: HOST1,
      name: "host1",
      address: "192.168.48.11:6783",
      state: "alive" as const,
      incarnation: 7,
      rttMs: null,
      self: true,
      path: null,
    },
    {
      id: HOST2,
      name: "host2",
      address: "192.168.48.12:6783",
      state: "suspect" as const,
      incarnation: 3,
      rttMs: 0.82,
      self: false,
      path: {
        kind: "mixed" as const,
        networks: [
          { network: "tsweave", direct: true, sinceSeconds: 60, why: null },
          { network: "blue", direct: false, sinceSeconds: 2, why: "probes are not answered" },
        ],
      },
    },
  ];
  readonly connections = () => [
    {
      peer: "host2",
      id: HOST2,
      address: "192.168.48.12:6783",
      state: "doubtful" as const,
      rttMs: 0.82,
      sinceSeconds: 14,
      addresses: ["10.1.0.12:6783", "192.168.48.12:6783"],
      direct: false,
      directSinceSeconds: 61,
      fault: "refused" as const,
      seenSeconds: 14,
      mtuBytes: null,
      traffic: {
        inBytes: 1_240_000,
        outBytes: 980,
        inBytesPerSecond: 1200,
        outBytesPerSecond: 0,
      },
    },
  ];
  readonly targets = () => [
    { address: "192.168.48.13:6783", state: "trying" as const, attempts: 9 },
  ];
  readonly networks = () => [
    {
      name: "tsweave",
      vni: 256,
      subnet: "10.32.0.0/12",
      mtu: 1450,
      mtuReason: "eth0 of host1 has 1500",
      internal: false,
      endpoints: 4,
      local: 1,
      here: true,
      why: null,
      present: ["host1", "host2"],
      conflicts: [],
    },
  ];
  readonly networkWishes: (NetworkWish | RemoveNetwork)[] = [];
  followers: Pick<NetworkChange, "hosts" | "engines" | "missing"> = {
    ...{ hosts: 2, engines: 2, missing: [] },
  };
  readonly createNetwork = async (wish: NetworkWish) => {
    this.networkWishes.push(wish);
    return { name: wish.name, subnet: "10.70.0.0/16", vni: 9_000_001, ...this.followers };
  };
  readonly removeNetwork = async (wish: RemoveNetwork) => {
    this.networkWishes.push(wish);
    return {
      name: wish.name,
      subnet: "10.70.0.0/16",
      vni: null,
      hosts: 2,
      engines: 2,
      missing: ["host2"],
    };
  };
  readonly endpoints = () => [
    {
      network: "tsweave",
      id: "e".repeat(64),
      name: "web",
      aliases: ["www", "a1b2c3d4e5f6"],
      ip: "10.32.0.2",
      mac: "02:42:0a:20:00:02",
      peer: "host1",
      vtep: "192.168.48.11",
      local: true,
      state: "alive" as const,
    },
  ];
  readonly groups = () => ({
    groups: [
      { network: "tsweave", group: "239.1.1.1", containers: ["web"], peers: ["host2", "host3"] },
      { network: "tsweave", group: "239.1.1.2", containers: [], peers: ["host3"] },
    ],
    notTold: 3,
  });
  readonly ipam = () => ({
    pools: [
      {
        subnet: "10.32.0.0/12",
        owned: [
          {
            peer: "host1",
            ranges: ["10.32.0.0-10.39.255.255"],
            addresses: 524_288,
            used: 3,
            reachable: true,
          },
          {
            peer: "host2",
            ranges: ["10.40.0.0-10.40.0.9", "10.40.0.20-10.40.0.29", "10.41.0.0-10.47.255.255"],
            addresses: 524_288,
            used: 1,
            reachable: false,
          },
        ],
        used: 4,
        free: 1_048_569,
        conflicts: [{ ip: "10.32.0.9", key: "web", owner: "host2" }],
      },
    ],
    roster: {
      number: 3,
      self: "member" as const,
      members: [
        {
          peer: HOST1,
          name: "host1",
          store: "a1",
          elector: true,
          reachable: true,
          self: true,
        },
        {
          peer: HOST2,
          name: "host2",
          store: "b2",
          elector: true,
          reachable: false,
          self: false,
        },
      ],
      former: [{ peer: HOST2, name: "host3", store: "c3", how: "forgotten" as const, number: 3 }],
      heir: "host1",
      waits: [
        {
          what: "reclaim" as const,
          about: ["host3"],
          waitingFor: ["host2"],
          ageMs: 12_000,
          text: "host3's space waits for host2",
        },
      ],
    },
  });
  readonly dns = () => ({
    domain: "tsweave.local",
    records: [
      {
        name: "web",
        network: "tsweave",
        type: "A",
        address: "10.32.0.2",
        peer: "host1",
        ttlSeconds: 5,
      },
    ],
  });
  readonly removals: RemovePeers[] = [];
  /** The state that the next removal ends in. */
  removal: ForgetResult["state"] = "done";
  readonly rmpeer = async (wish: RemovePeers): Promise<ForgetResult> => {
    this.removals.push(wish);
    const { peers } = wish;
    const waitingFor = this.removal === "done" ? [] : ["host4"];
    return { state: this.removal, peers, heir: "host2", waitingFor, text: "removed host3" };
  };
  readonly adoptions: AdoptionWish[] = [];
  /** The state that the next adoption ends in. */
  adoption: AdoptionReply["state"] = "done";
  readonly adopt = async (wish: AdoptionWish): Promise<AdoptionReply> => {
    this.adoptions.push(wish);
    const keeper = { container: "db", peer: "host3" };
    return {
      mesh: "00000000000000aa",
      into: "00000000000000bb",
      adopters: ["host3"],
      peers: ["host1", "host2"],
      absent: ["host4"],
      addresses: 5,
      state: wish.isPlan ? "planned" : this.adoption,
      waitingFor: [],
      text: "host1, host2 belong to mesh 00000000000000bb now",
      twice: [{ network: "tsweave", ip: "10.32.0.9", container: "web", peer: "host2", keeper }],
    };
  };
  readonly leaves: LeaveMesh[] = [];
  readonly leave = async (wish: LeaveMesh): Promise<LeaveResult> => {
    this.leaves.push(wish);
    return { state: "left", heir: "host2", addresses: 12, text: "12 addresses are host2's" };
  };
  readonly keyChanges: KeyChange[] = [];
  readonly keys = () => ({
    encrypted: true,
    keys: [
      { id: "9be41d77", sends: true, peers: 1 },
      { id: "1f0c22ab", sends: false, peers: 0 },
    ],
    refused: 3,
    replayed: 0,
  });
  readonly changeKeys = async (change: KeyChange) => {
    this.keyChanges.push(change);
    return this.keys();
  };
  readonly ps = () => [
    {
      id: "a".repeat(64),
      kind: "netns" as const,
      target: "/run/netns/blue",
      network: "tsweave",
      ip: "10.32.0.7",
      mac: "02:42:0a:20:00:07",
      names: ["blue"],
      interface: "eth0",
      gateway: "172.31.0.2/16",
      resolver: "own" as const,
    },
  ];
  /** What attach, detach, expose and hide were asked, in order. */
  readonly wishes: unknown[] = [];
  readonly attach = async (wish: AttachWish) => {
    this.wishes.push(wish);
    return ATTACHED;
  };
  readonly detach = async (wish: DetachWish) => {
    this.wishes.push(wish);
    return [ATTACHED];
  };
  readonly expose = async (wish: ExposeWish) => {
    this.wishes.push(wish);
    return { ...ATTACHED, kind: "host" as const, target: "host", device: "tsweave0" };
  };
  readonly hide = async (network: string | undefined) => {
    this.wishes.push({ network });
    return [ATTACHED];
  };
  readonly reconcile = async ({ dryRun }: ReconcileWish) => ({
    ...{
      dryRun,
      batch: ["# bridge -n tsweave-0123456789 -batch -", "fdb del 02:42:0a:20:00:07 dev vxlan0"],
    },
    ...{ inSync: !dryRun, error: null },
  });
  readonly namespaces = () => [{ network: "tsweave", namespace: "tsweave-0123456789" }];
  readonly locate = async (word: string) => `/run/netns/${word}`;
  readonly connect = async (peers: readonly HostPort[]) => {
    this.connected.push(...peers);
  };
  readonly forgotten: HostPort[] = [];
  readonly forget = async (peers: readonly HostPort[]) => {
    this.forgotten.push(...peers);
    return peers.filter(({ host }) => host === "192.168.48.12");
  };
  readonly services: ServiceChange[] = [];
  readonly dnsLookup = ({ name, type = "A", network }: LookupQuestion) => {
    if (name !== "web") throw new TsweaveError("NOT_FOUND", `no name ${name} ${network ?? ""}`);
    return { answers: [{ name, type, ttlSeconds: 5, data: "10.32.0.2" }] };
  };
  readonly dnsAdd = async (change: ServiceChange) => {
    const isKnown = this.services.some(({ name }) => name === change.name);
    this.services.push(change);
    return { added: isKnown ? [] : change.ips };
  };
  readonly dnsRemove = async (change: ServiceChange) => {
    this.services.push(change);
    return { removed: change.ips.length > 0 ? change.ips : ["192.0.2.1"] };
  };
  readonly eventLog = new EventLog(processClock(), new QuietLog());
  readonly events = () => this.eventLog;
  directories = { stateDir: "/var/lib/tsweave", runDir: "/run/tsweave" };
  readonly host = () => ({
    config: {
      port: 6783,
      vxlanPort: 4789,
      ipallocRange: "10.32.0.0/12",
      network: "tsweave",
      encrypted: false,
      dns: true,
      docker: false,
      dockerSocket: "/nonexistent/docker.sock",
      pluginDir: "/nonexistent/plugins",
      ...this.directories,
    },
    address: "192.168.48.11",
    underlayMtuBytes: 1500,
    namespaces: [],
    sandboxes: [],
  });
  answers: readonly PeerAnswer[] = [];
  readonly ask = async () => this.answers;
  readonly probe = async ({ from, to }: ProbeWish): Promise<readonly ProbeRow[]> =>
    to.map((target) => {
      const path = { rttMs: 0.4, largestBytes: 1500, neededBytes: 1500, error: null };
      const gauged = {
        streamMs: 1.5,
        underlay: path,
        tunnelBytes: 1450,
        tunnel: null,
        error: null,
      };
      const seen = { gossip: "established", direct: true, rttMs: 0.8 } as const;
      return { from, to: target, ...seen, ...gauged };
    });
  readonly look = async ({ peer }: LookWish): Promise<FarLook> => {
    if (peer !== HOST2) throw new TsweaveError("PEER_UNREACHABLE", "it does not answer");
    const vxlan = { vxlan: "up" as const, vni: 256, vxlanPort: 4789 };
    return { port: "plugged", ...vxlan, toPackets: 7, fromPackets: 6 };
  };
  readonly levels = new LogLevels("info");
  logFile: string | null = null;
  readonly log = () => {
    for (const part of ["mesh", "docker"]) this.levels.know(part);
    return { level: this.levels.base, parts: this.levels.parts(), file: this.logFile };
  };
  readonly setLogLevel = ({ level, part }: LogChange) => {
    this.log();
    if (this.levels.set(level, part)) return this.log();
    throw new TsweaveError("NOT_FOUND", `no part of the daemon is named '${part}'`);
  };
  readonly stop = () => {
    this.stops += 1;
    this.onStop();
  };
}
