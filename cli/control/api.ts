/**
 * The control API: what each read command's JSON holds, and what the daemon must provide for it.
 *
 * Law: people's scripts rely on these shapes. Fields are only added; a change of meaning raises
 * `schema`. Every read is answered from memory, at once.
 */
import type {
  AdoptionPlan,
  AdoptionResult,
  ForgetAssertion,
  ForgetResult,
  LeaveResult,
  RosterStatus,
} from "../../ipalloc/index.ts";
import type { HostPort, MemberState, PathFault } from "../../mesh/index.ts";
import type { LogLevel } from "../../mesh/io/log.ts";
import type { AttachedEndpoint, AttachWish, ExposeWish } from "../../overlay/index.ts";
import type { EventSource } from "../events/event-log.ts";
import type { GroupsReply } from "./group-api.ts";
import type { HostFacts, PeerAnswer } from "./host-api.ts";
import type { FarLook, LookWish } from "./look-api.ts";
import type { NetworkChange, NetworkWish, RemoveNetwork } from "./network-api.ts";
import type { PeerPath } from "./path-api.ts";
import type { ProbeRow, ProbeWish } from "./probe-api.ts";
import type { ReconcileReply, ReconcileWish } from "./reconcile-api.ts";

export type { HostFacts, PeerAnswer } from "./host-api.ts";

export const SCHEMA = 1;

/** The tables below `status`, in the order help lists them. */
export const READS = [
  "peers",
  "connections",
  "targets",
  "networks",
  "endpoints",
  "groups",
  "ipam",
  "dns",
] as const;
export type Read = (typeof READS)[number];

/** Something a person should know, and the command or change that helps. */
export interface HealthProblem {
  readonly code: string;
  readonly text: string;
  readonly next: string | null;
}

export interface Status {
  readonly version: string;
  /** Process id of the daemon. */
  readonly pid: number;
  readonly peer: {
    readonly id: string;
    readonly name: string;
    readonly incarnation: number;
    /** `host:port`, IPv6 in brackets. */
    readonly advertise: string;
  };
  readonly uptimeSeconds: number;
  readonly health: { readonly ok: boolean; readonly problems: readonly HealthProblem[] };
  readonly mesh: {
    /** Name of the membership engine. */
    readonly engine: string;
    readonly encrypted: boolean;
    /** Known peers, this one included, and how many are in each state. */
    readonly peers: number;
    readonly alive: number;
    readonly suspect: number;
    readonly dead: number;
    readonly left: number;
    /** Addresses that are still tried. */
    readonly trying: number;
  };
  readonly ipam: {
    /** The range given at launch. */
    readonly subnet: string;
    /** Whether addresses can be given out; `text` says what is waited for. */
    readonly founded: boolean;
    readonly text: string;
    /** Addresses of the range: all, this peer's, this peer's in use, unreachable peers'. */
    readonly addresses: number;
    readonly owned: number;
    readonly used: number;
    readonly unreachable: number;
    readonly conflicts: number;
  };
  readonly dns: {
    readonly enabled: boolean;
    readonly domain: string;
    readonly names: number;
    /** Containers of this host whose lookups are answered here. */
    readonly sandboxes: number;
  };
  readonly docker: {
    readonly enabled: boolean;
    /** Whether the engine answered last time. */
    readonly connected: boolean;
    readonly version: string | null;
    /** Whether the plugin socket is served. */
    readonly plugin: boolean;
    /** tsweave networks on this engine, endpoints of this host. */
    readonly networks: number;
    readonly endpoints: number;
  };
  /** Where the map and metrics are served; null: nowhere. */
  readonly web: { readonly url: string | null };
  readonly kernel: {
    readonly inSync: boolean;
    /** How long the last pass took; null before the first. */
    readonly lastReconcileMs: number | null;
    /** How long ago it ended. */
    readonly lastReconcileAgeSeconds: number | null;
    /** Steps still needed after it. */
    readonly drift: number;
  };
}

export interface PeerRow {
  readonly id: string;
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
  readonly state: MemberState;
  readonly incarnation: number;
  readonly rttMs: number | null;
  readonly self: boolean;
  /** How containers' packets go there; null of this host itself. */
  readonly path: PeerPath | null;
}

/** What the tunnels carried between this host and a peer, with their headers. */
export interface Traffic {
  /** Since the host counts; a firewall that is loaded anew may begin it again. */
  readonly inBytes: number;
  readonly outBytes: number;
  /** Between the last two looks, some seconds apart; null before the second. */
  readonly inBytesPerSecond: number | null;
  readonly outBytesPerSecond: number | null;
}

/** This peer's own view of its link to one other peer. */
export interface ConnectionRow {
  readonly peer: string;
  readonly id: string;
  readonly address: string;
  /** established: answers; doubtful: silent, being checked; lost: given up; closed: it left. */
  readonly state: "established" | "doubtful" | "lost" | "closed";
  readonly rttMs: number | null;
  /** Since the last change of state. */
  readonly sinceSeconds: number;
  /** All addresses of the peer, the one it prefers first; `address` is the one in use here. */
  readonly addresses: readonly string[];
  /** Whether it answers this peer itself, not only through others; null: not known. */
  readonly direct: boolean | null;
  /** Since the last change of `direct`. */
  readonly directSinceSeconds: number | null;
  /** Without a direct path: nothing comes back, the port is closed, only TCP passes. */
  readonly fault: PathFault | null;
  /** Since anything of it arrived here; null before that. */
  readonly seenSeconds: number | null;
  /** Largest packet of a container that its tunnel takes; null where nothing passes. */
  readonly mtuBytes: number | null;
  /** Null where it is not counted. */
  readonly traffic: Traffic | null;
}

export interface TargetRow {
  readonly address: string;
  readonly state: "connected" | "trying";
  readonly attempts: number;
}

export interface NetworkRow {
  readonly name: string;
  readonly vni: number;
  readonly subnet: string;
  readonly mtu: number;
  /** What limits it, in a few words. */
  readonly mtuReason: string;
  readonly internal: boolean;
  /** Endpoints on all hosts. */
  readonly endpoints: number;
  /** Those of them on this host. */
  readonly local: number;
  /** Whether this host has it, and why it has not. */
  readonly here: boolean;
  readonly why: string | null;
  /** Names of the peers whose engine has it. */
  readonly present: readonly string[];
  /** What is not as it should be; two networks of one name, made in a cut, are listed both. */
  readonly conflicts: readonly string[];
}

export interface EndpointRow {
  /** Name of the network. */
  readonly network: string;
  readonly id: string;
  /** Empty as long as the engine has not told it. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly ip: string;
  readonly mac: string;
  /** Name of the peer, its id when the name is not known. */
  readonly peer: string;
  readonly vtep: string;
  readonly local: boolean;
  /** The state of its peer, or `unplugged`: of this host, without a veth pair. */
  readonly state: MemberState | "unplugged";
}

export interface PoolRow {
  readonly subnet: string;
  readonly owned: readonly {
    readonly peer: string;
    /** `first-last`. */
    readonly ranges: readonly string[];
    readonly addresses: number;
    readonly used: number;
    readonly reachable: boolean;
  }[];
  readonly used: number;
  readonly free: number;
  /** Addresses in use on this host that another peer owns by the records. */
  readonly conflicts: readonly {
    readonly ip: string;
    readonly key: string;
    readonly owner: string;
  }[];
}

interface RecordRow {
  readonly name: string;
  readonly network: string;
  readonly type: string;
  readonly address: string;
  readonly peer: string;
  readonly ttlSeconds: number;
}

/** The fields of each table's reply, next to `schema`. */
export interface Replies {
  readonly peers: { readonly peers: readonly PeerRow[] };
  readonly connections: { readonly connections: readonly ConnectionRow[] };
  readonly targets: { readonly targets: readonly TargetRow[] };
  readonly networks: { readonly networks: readonly NetworkRow[] };
  readonly endpoints: { readonly endpoints: readonly EndpointRow[] };
  readonly groups: GroupsReply;
  readonly ipam: { readonly pools: readonly PoolRow[]; readonly roster: RosterStatus };
  readonly dns: { readonly domain: string; readonly records: readonly RecordRow[] };
}

/** The key ring, as ids only. */
export interface KeysReply {
  readonly encrypted: boolean;
  readonly keys: readonly {
    readonly id: string;
    /** Whether this peer sends with it. */
    readonly sends: boolean;
    /** Other peers that sent with it within the last minute. */
    readonly peers: number;
  }[];
  /** Packets that no key opened, and that had been seen before, since the start. */
  readonly refused: number;
  readonly replayed: number;
}

/** `key`: 64 hex digits; `id`: the beginning of one. */
export type KeyChange =
  | { readonly action: "add"; readonly key: string }
  | { readonly action: "use"; readonly id: string }
  | { readonly action: "remove"; readonly id: string; readonly force: boolean };

/** `peers`: names, beginnings of ids, or addresses. */
export interface RemovePeers {
  readonly peers: readonly string[];
  readonly assertion: ForgetAssertion;
}

/** `peer`: a name, the beginning of an id, or an address. With `isPlan` nothing is changed. */
export interface AdoptionWish {
  readonly peer: string;
  readonly isPlan: boolean;
}

/** A container whose address is another one's. */
export interface TwiceRow {
  readonly network: string;
  readonly ip: string;
  /** Its name, the beginning of its endpoint's id where that is not known. */
  readonly container: string;
  /** Name of its peer. */
  readonly peer: string;
  readonly keeper: { readonly container: string; readonly peer: string };
}

export interface AdoptionReply extends AdoptionPlan, Pick<AdoptionResult, "waitingFor" | "text"> {
  readonly state: "planned" | AdoptionResult["state"];
  /** What is to be restarted. */
  readonly twice: readonly TwiceRow[];
}

/** `networks`: also remove the tsweave networks from Docker. */
export interface LeaveMesh {
  readonly force: boolean;
  readonly networks?: boolean;
}

/** `network` undefined: all networks; no `ips` in a removal: all addresses of the name. */
export interface ServiceChange {
  readonly name: string;
  readonly ips: readonly string[];
  readonly network: string | undefined;
}

export interface LookupReply {
  /** At least one. */
  readonly answers: readonly {
    readonly name: string;
    readonly type: string;
    readonly ttlSeconds: number;
    /** As in a master file, without dots at the end. */
    readonly data: string;
  }[];
}

/** `type` undefined: A, PTR of an address; `network` undefined: all networks. */
export interface LookupQuestion {
  readonly name: string;
  readonly type: string | undefined;
  readonly network: string | undefined;
}

/** An endpoint of this host, whoever made it. */
export interface AttachmentRow {
  readonly id: string;
  readonly kind: "docker" | AttachedEndpoint["kind"];
  /** Container, process id, path of the namespace, or `host`. */
  readonly target: string;
  /** Name of the network. */
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
  readonly names: readonly string[];
  /** Its device in the target; null where Docker chose it. */
  readonly interface: string | null;
  /** Address on tsweave_gw; null without one. */
  readonly gateway: string | null;
  /** Who answers names in the target beside us; null where Docker made it. */
  readonly resolver: AttachedEndpoint["resolver"] | null;
}

/** A network's namespace on this host, as `ip netns` knows it. */
export interface NamespaceRow {
  readonly network: string;
  readonly namespace: string;
}

/** `network` undefined: all networks. */
export interface DetachWish {
  readonly target: string;
  readonly network: string | undefined;
}

/** What the daemon logs, and where. */
export interface LogReply {
  /** Of all parts that have none of their own. */
  readonly level: LogLevel;
  readonly parts: readonly { readonly part: string; readonly level: LogLevel }[];
  /** Null where standard output is not a file: under a service manager. */
  readonly file: string | null;
}

/** Without `part`: of all parts. */
export interface LogChange {
  readonly level: LogLevel;
  readonly part?: string;
}

/** What the daemon provides. Reads are synchronous: they never wait for anything. */
export interface ControlBackend {
  readonly status: () => Status;
  readonly peers: () => readonly PeerRow[];
  readonly connections: () => readonly ConnectionRow[];
  readonly targets: () => readonly TargetRow[];
  readonly networks: () => readonly NetworkRow[];
  readonly endpoints: () => readonly EndpointRow[];
  readonly groups: () => GroupsReply;
  readonly ipam: () => Replies["ipam"];
  readonly dns: () => Replies["dns"];
  /** What the zone answers; throws NOT_FOUND. */
  readonly dnsLookup: (question: LookupQuestion) => LookupReply;
  /** Adds addresses to a name; resolves once they are durable, with the new ones. */
  readonly dnsAdd: (change: ServiceChange) => Promise<{ readonly added: readonly string[] }>;
  /** Removes addresses that this host added; throws NOT_FOUND where there are none. */
  readonly dnsRemove: (change: ServiceChange) => Promise<{ readonly removed: readonly string[] }>;
  /** Adds reconnect targets; hosts are literal addresses. Resolves once a restart keeps them. */
  readonly connect: (peers: readonly HostPort[]) => Promise<void>;
  /** Drops reconnect targets. Resolves with those that the next launch names again. */
  readonly forget: (peers: readonly HostPort[]) => Promise<readonly HostPort[]>;
  /** Removes peers for good by the operator's word. */
  readonly rmpeer: (wish: RemovePeers) => Promise<ForgetResult>;
  /** Gives this peer's mesh up to another, or says what that would do. */
  readonly adopt: (wish: AdoptionWish) => Promise<AdoptionReply>;
  /** Hands this peer's ranges on and leaves the roster; the daemon still runs. */
  readonly leave: (wish: LeaveMesh) => Promise<LeaveResult>;
  /** Resolves when this host has it and the others had their time. */
  readonly createNetwork: (wish: NetworkWish) => Promise<NetworkChange>;
  /** Refuses a network that anybody uses. */
  readonly removeNetwork: (wish: RemoveNetwork) => Promise<NetworkChange>;
  readonly keys: () => KeysReply;
  /** Resolves once the change is on disk and counts. */
  readonly changeKeys: (change: KeyChange) => Promise<KeysReply>;
  /** Endpoints of this host. */
  readonly ps: () => readonly AttachmentRow[];
  readonly attach: (wish: AttachWish) => Promise<AttachedEndpoint>;
  /** Resolves with what was taken away; throws NOT_FOUND where there is nothing. */
  readonly detach: (wish: DetachWish) => Promise<readonly AttachedEndpoint[]>;
  /** Networks of this host with the names of their namespaces. */
  readonly namespaces: () => readonly NamespaceRow[];
  /** Path of the namespace of a network, container, process or namespace; throws NOT_FOUND. */
  readonly locate: (word: string) => Promise<string>;
  readonly expose: (wish: ExposeWish) => Promise<AttachedEndpoint>;
  readonly hide: (network: string | undefined) => Promise<readonly AttachedEndpoint[]>;
  /** Makes the kernel equal to the tables, or only says how. */
  readonly reconcile: (wish: ReconcileWish) => Promise<ReconcileReply>;
  readonly events: () => EventSource;
  readonly log: () => LogReply;
  readonly host: () => HostFacts;
  /** Asks peers: all that may be there, or those that a word names. @throws NOT_FOUND */
  readonly ask: (peer: string | undefined) => Promise<readonly PeerAnswer[]>;
  /** Has a peer, or this one, measure its ways: a row a target. @throws PEER_UNREACHABLE */
  readonly probe: (wish: ProbeWish) => Promise<readonly ProbeRow[]>;
  /** Has an endpoint's host look at it. @throws NOT_FOUND, PEER_UNREACHABLE */
  readonly look: (wish: LookWish) => Promise<FarLook>;
  /** @throws TsweaveError NOT_FOUND when no part has that name. */
  readonly setLogLevel: (change: LogChange) => LogReply;
  /** Begins a clean stop and returns at once. */
  readonly stop: () => void;
}
