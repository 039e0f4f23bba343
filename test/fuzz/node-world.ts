/**
 * Whole mesh nodes with addresses and typed tables on a network in memory: one of them is fed with
 * garbage at its own sockets, the others live with it and must still understand it afterwards.
 */
import assert from "node:assert/strict";
import { IpAlloc } from "../../ipalloc/index.ts";
import {
  type Datagrams,
  type EngineName,
  type HostPort,
  Keyring,
  keyFromSecret,
  LIMITS,
  MeshNode,
  type PeerId,
  type PeerMeta,
  Seal,
  type Streams,
  TypedTable,
} from "../../mesh/index.ts";
import { createMembershipEngine } from "../../mesh/io/membership-engine.ts";
import { endpointFromWire, namesFromWire, networkFromWire } from "../../overlay/rows.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { MemoryStore } from "../lib/memory-store.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";
import { WatchfulLog } from "./watchful-log.ts";

type Receive = (from: HostPort, packet: Uint8Array) => void;
type Serve = (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>;

export interface Kind {
  readonly engine: EngineName;
  readonly sealed: boolean;
}

/** What was sent to a socket: a datagram, or the question of a stream. */
export interface Heard {
  readonly road: "datagram" | "stream";
  readonly bytes: Uint8Array;
}

export interface NodePeer {
  readonly meta: PeerMeta;
  readonly node: MeshNode;
  readonly seal: Seal | undefined;
  readonly log: WatchfulLog;
  readonly tables: readonly TypedTable<unknown>[];
  /** What arrives, as if from the network. */
  receive: Receive;
  serve: Serve;
  readonly heard: Heard[];
  stop(): Promise<void>;
}

export class NodeWorld {
  readonly clock = new VirtualClock();
  readonly network: MemoryNetwork;
  readonly kind: Kind;
  readonly #peers: NodePeer[] = [];

  constructor(kind: Kind) {
    this.kind = kind;
    this.network = new MemoryNetwork(this.clock, new SeededRandom(5));
  }

  async open(nth: number, target?: NodePeer): Promise<NodePeer> {
    const { clock } = this;
    const random = new SeededRandom(nth);
    const log = new WatchfulLog();
    const meta: PeerMeta = {
      id: Buffer.from(random.bytes(16)).toString("hex"),
      incarnation: 1_790_000_000 + nth,
      name: `peer-${nth}`,
      advertise: { host: `10.20.0.${nth}`, port: 6783 },
    };
    const ring = Keyring.of(keyFromSecret(Buffer.alloc(32, 3)));
    const seal = this.kind.sealed ? new Seal({ clock, random }, ring) : undefined;
    const peer = { meta, seal, log, heard: [] as Heard[] } as unknown as NodePeer;
    const datagrams = tapped(this.network.datagrams(meta.advertise), peer);
    const streams = tappedStreams(this.network.streams(meta.advertise), peer);
    const store = new MemoryStore();
    const ports = { datagrams, streams, clock, random, store, log, seal };
    const targets = target === undefined ? [] : [target.meta.advertise];
    const node = await MeshNode.open(ports, meta, (channel) =>
      createMembershipEngine(
        this.kind.engine,
        { ...ports, datagrams: channel },
        { self: meta, targets, latency: "lan" },
      ),
    );
    const members = () => node.membership.members();
    const alloc = new IpAlloc(
      { clock, random, log, store, tables: node.tables, rpc: node.rpc, members },
      { self: meta.id, declared: targets, advertise: meta.advertise },
    );
    const tables = [
      new TypedTable<unknown>(node.tables, "endpoints", endpointFromWire, log),
      new TypedTable<unknown>(node.tables, "names", namesFromWire, log),
      new TypedTable<unknown>(node.tables, "networks", networkFromWire, log),
    ];
    await alloc.start();
    node.tables.put("names", `own-${nth}`, ["tsweave", `10.32.0.${nth}`, [`web${nth}`]]);
    node.membership.onEvent(() => alloc.membershipChanged());
    await node.start();
    const stop = async (): Promise<void> => {
      await alloc.stop();
      await node.membership.stop();
      node.tables.stop();
    };
    const whole = Object.assign(peer, { node, tables, stop });
    this.#peers.push(whole);
    return whole;
  }

  /** Lets virtual time pass until `holds`. @throws after `limitMs` */
  async until(what: string, limitMs: number, holds: () => boolean): Promise<void> {
    for (let spentMs = 0; !holds(); spentMs += 50) {
      assert.ok(spentMs < limitMs, `${what}: not within ${limitMs} ms`);
      await this.clock.run(50);
    }
  }

  async end(): Promise<void> {
    for (const peer of this.#peers) await peer.stop();
  }
}

export function sees(peer: NodePeer, other: NodePeer): boolean {
  return peer.node.member(other.meta.id)?.state === "alive";
}

/** Whether `peer` holds the row that another one wrote of itself. */
export function holdsRowOf(peer: NodePeer, other: NodePeer): boolean {
  const key = `own-${other.meta.incarnation - 1_790_000_000}`;
  return peer.node.tables
    .rows("names")
    .some((row) => row.origin === other.meta.id && row.key === key);
}

/** The bounds of limits.ts, looked at from outside. */
export function assertBounds({ node, seal, log }: NodePeer): void {
  const origins = new Map<PeerId, number>();
  for (const table of ["endpoints", "names", "networks", "ranges"] as const) {
    for (const { origin } of node.tables.rows(table)) {
      origins.set(origin, (origins.get(origin) ?? 0) + 1);
    }
  }
  assert.ok(node.membership.members().length <= LIMITS.peersMax + 1, "members");
  assert.ok(origins.size <= LIMITS.peersMax, "origins");
  assert.ok(node.strangers.list().length <= LIMITS.strangersMax, "strangers");
  assert.ok((seal?.senders.size ?? 0) <= LIMITS.sealSendersMax, "sessions");
  assert.equal(log.failure, undefined);
}

function tapped(datagrams: Datagrams, peer: NodePeer): Datagrams {
  return {
    ...datagrams,
    onPacket: (receive) => {
      peer.receive = receive;
      return datagrams.onPacket((from, bytes) => {
        peer.heard.push({ road: "datagram", bytes });
        if (peer.heard.length > 2000) peer.heard.splice(0, 1000);
        receive(from, bytes);
      });
    },
  };
}

function tappedStreams(streams: Streams, peer: NodePeer): Streams {
  return {
    ...streams,
    onRequest: (serve) => {
      peer.serve = serve;
      return streams.onRequest(async (from, bytes) => {
        peer.heard.push({ road: "stream", bytes });
        return await serve(from, bytes);
      });
    },
  };
}
