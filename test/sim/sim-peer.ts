/**
 * One life of one daemon, whole but for Docker, kernel and DNS: mesh node, presence and addresses
 * over a simulated clock, network and disk. After a crash nothing of it acts any more.
 */
import { isDeepStrictEqual } from "node:util";
import { IpAlloc } from "../../ipalloc/index.ts";
import {
  type Datagrams,
  type HostPort,
  type Log,
  type Member,
  type Membership,
  nextIdentity,
  type PeerId,
  type PeerMeta,
  Presence,
  type RowChange,
  type Streams,
  TABLES,
} from "../../mesh/index.ts";
import { NATIVE_LAN } from "../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../mesh/membership/native/engine.ts";
import { MeshNode } from "../../mesh/node.ts";
import { FakeMembership } from "../lib/fake-membership.ts";
import type { MemoryNetwork } from "../lib/memory-network.ts";
import type { SeededRandom } from "../lib/seeded-random.ts";
import type { VirtualClock } from "../lib/virtual-clock.ts";
import { HostClock } from "./host-clock.ts";
import type { SimHost } from "./sim-host.ts";
import { lawful } from "./sim-violation.ts";

export const POOL = "10.40.0.0/24";
/** Tables in which the world writes each value once. */
const ONCE: readonly string[] = ["endpoints", "names"];
/** Longest write of a simulated disk. */
const DISK_MS = 8;

export interface PeerWorld {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly log: Log;
  /** Whether peers are told who is here instead of running the native engine. */
  readonly judged: boolean;
  /** A peer's own engine gave a verdict of death. */
  readonly died: (by: SimHost, member: Member) => void;
  /** What a checker found outside a step. */
  readonly found: (error: unknown) => void;
}

export class SimPeer {
  readonly meta: PeerMeta;
  readonly membership: Membership;
  /** Present when verdicts are the world's and not an engine's own. */
  readonly judged: FakeMembership | undefined;
  readonly node: MeshNode;
  readonly presence: Presence;
  readonly ipalloc: IpAlloc;
  readonly clock: HostClock;
  readonly #world: PeerWorld;
  alive = true;
  ready = false;
  /** What watchers were told, folded: must equal the tables. */
  readonly #told = new Map<string, RowChange>();
  /** Values that went. Each is written once in a life of its origin, so none comes back. */
  readonly #gone = new Set<string>();

  static async open(world: PeerWorld, host: SimHost, declared: HostPort[]): Promise<SimPeer> {
    const isPaused = () => world.network.paused.has(host.advertise.host);
    const clock = new HostClock(world.clock, isPaused, host.wallOffsetMs);
    host.clock = clock;
    const store = host.disk.store(clock, world.random, DISK_MS);
    const identity = await nextIdentity({ store, clock, random: world.random });
    const meta = { ...identity, name: host.name, advertise: host.advertise };
    const judged = world.judged ? new FakeMembership(meta) : undefined;
    const { random, log } = world;
    const datagrams = mortal(world.network.datagrams(host.advertise), clock);
    const streams = mortalStreams(world.network.streams(host.advertise), clock);
    const ports = { datagrams, streams, clock, random, store, log };
    const node = await MeshNode.open(
      ports,
      identity,
      (channel) =>
        judged ??
        createNativeEngine(
          { ...ports, datagrams: channel },
          { self: meta, targets: declared, timing: NATIVE_LAN },
        ),
    );
    return new SimPeer({ world, host, node, judged, clock, meta, store, declared });
  }

  private constructor(parts: {
    world: PeerWorld;
    host: SimHost;
    node: MeshNode;
    judged: FakeMembership | undefined;
    clock: HostClock;
    meta: PeerMeta;
    store: ReturnType<SimHost["disk"]["store"]>;
    declared: HostPort[];
  }) {
    const { world, host, node, clock, meta } = parts;
    const { membership } = node;
    this.#world = world;
    this.node = node;
    this.membership = membership;
    this.judged = parts.judged;
    this.clock = clock;
    this.meta = meta;
    const { random, log, network } = world;
    const members = () => membership.members();
    this.presence = new Presence({
      clock,
      streams: network.streams(host.advertise),
      log,
      member: (id) => membership.member(id),
      origins: () => this.#origins(),
    });
    this.ipalloc = new IpAlloc(
      { clock, random, log, store: parts.store, tables: node.tables, rpc: node.rpc, members },
      { self: meta.id, declared: parts.declared, advertise: host.advertise },
    );
    for (const table of TABLES) {
      for (const row of node.tables.rows(table)) this.#told.set(rowKey(row), row);
      node.tables.watch(table, (changes) => {
        try {
          for (const change of changes) this.#hear(change);
        } catch (error) {
          world.found(error);
        }
      });
    }
  }

  /** As the daemon: addresses, own rows, then the network. */
  async start(host: SimHost): Promise<void> {
    await this.ipalloc.start();
    for (const [ip, key] of host.running) this.put(ip, key);
    for (const [key, value] of host.names) this.putName(key, value);
    this.membership.onEvent((event) => {
      this.presence.membershipChanged(event);
      if (event.type === "dead" && this.alive && this.judged === undefined) {
        this.#world.died(host, event.member);
      }
      if (this.alive) this.ipalloc.membershipChanged();
    });
    this.presence.start();
    await this.node.start();
    this.ready = true;
  }

  /** A row that changes often, under one key. */
  putName(key: string, value: number): void {
    this.node.tables.put("names", key, [value]);
  }

  put(ip: string, key: string): void {
    this.node.tables.put("endpoints", ip, ["sim", key, ip, this.meta.advertise.host]);
  }

  /** The container that an origin's row of an address names, as this peer was told. */
  rowOf(origin: PeerId, ip: string): unknown {
    const value = this.#told.get(`${origin} endpoints ${ip}`)?.value;
    return Array.isArray(value) ? value[1] : undefined;
  }

  /** The rows of others that it holds. */
  othersRows(): string[] {
    const rows = TABLES.flatMap((table) => this.node.tables.rows(table));
    const others = rows.filter(({ origin }) => origin !== this.meta.id);
    return others.map((row) => `${rowKey(row)} ${JSON.stringify(row.value)}`).sort();
  }

  /** What the tables hold, as watchers were told: each net change once. */
  assertTold(): void {
    const rows = TABLES.flatMap((table) => this.node.tables.rows(table));
    const held = new Map(rows.map((row) => [rowKey(row), row.value]));
    const told = new Map([...this.#told].map(([key, row]) => [key, row.value]));
    const { name } = this.meta;
    lawful(isDeepStrictEqual(told, held), "told", `${name}: watchers and tables differ`, [name]);
  }

  #hear(change: RowChange): void {
    const key = rowKey(change);
    const before = this.#told.get(key)?.value;
    const isNews = !isDeepStrictEqual(before, change.value);
    const { name } = this.meta;
    lawful(isNews, "told", `${name} was told nothing new of ${key}`, [name]);
    if (ONCE.includes(change.table)) {
      const isBack = this.#gone.has(`${key} ${JSON.stringify(change.value)}`);
      lawful(!isBack, "gone", `${key} is back at ${name}: ${JSON.stringify(change.value)}`, [name]);
      if (before !== undefined) this.#gone.add(`${key} ${JSON.stringify(before)}`);
    }
    if (change.value === undefined) this.#told.delete(key);
    else this.#told.set(key, change);
  }

  #origins(): Map<PeerId, HostPort> {
    const found = new Map<PeerId, HostPort>();
    for (const { origin, value } of this.node.tables.rows("endpoints")) {
      const host = Array.isArray(value) ? value[3] : undefined;
      if (typeof host === "string") found.set(origin, { host, port: 6783 });
    }
    return found;
  }
}

export function rowKey(row: { origin: PeerId; table: string; key: string }): string {
  return `${row.origin} ${row.table} ${row.key}`;
}

/** Streams that end with their process: it asks nothing more and hears no answer. */
function mortalStreams(streams: Streams, clock: HostClock): Streams {
  return {
    ...streams,
    request: async (to, frame, deadlineMs) => {
      const never = new Promise<never>(() => undefined);
      if (!clock.alive) return await never;
      try {
        const answer = await streams.request(to, frame, deadlineMs);
        return clock.alive ? answer : await never;
      } catch (error) {
        if (clock.alive) throw error;
        return await never;
      }
    },
  };
}

/** Datagrams that end with their process. */
function mortal(datagrams: Datagrams, clock: HostClock): Datagrams {
  return {
    ...datagrams,
    send: (to, packet) => {
      if (clock.alive) datagrams.send(to, packet);
    },
  };
}
