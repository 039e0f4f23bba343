/**
 * What every membership engine must do, run against each: joins, verdicts, leaves, heals.
 * Times are in units of the engine's probe interval, so that a suite runs in seconds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  Datagrams,
  HostPort,
  MemberEvent,
  MemberState,
  MembershipEngine,
  PeerMeta,
  Streams,
} from "../../mesh/index.ts";
import { LiveNetwork } from "../lib/live-network.ts";

export interface EngineUnderTest {
  readonly name: string;
  /** The scaled probe interval. */
  readonly intervalMs: number;
  /** From suspicion to verdict, the longest. */
  readonly suspicionMs: number;
  /** From the end of a process whose host refuses connections to verdict, the longest. */
  readonly closedMs: number;
  /** Longest wait between retries of an unreached address. */
  readonly healMaxMs: number;
  create(
    datagrams: Datagrams,
    self: PeerMeta,
    targets: readonly HostPort[],
    streams: Pick<Streams, "probe">,
  ): MembershipEngine;
  /** What the engine cannot do, with the reason; those parts of the contract are skipped. */
  readonly lacks?: Partial<Record<Lack, string>>;
}

/** Parts of the contract that an engine may lack by name. */
export type Lack = "lone accuser";

export interface Peer {
  readonly meta: PeerMeta;
  readonly engine: MembershipEngine;
  readonly events: MemberEvent[];
}

export const idOf = (index: number): string => index.toString(16).padStart(32, "0");
export const addressOf = (index: number): HostPort => ({ host: `10.9.0.${index}`, port: 6783 });

export const sleep = async (ms: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ms));
};

/** Polls until `holds`, and fails with `what` after `ms`. Returns the time it took. */
export async function until(what: string, ms: number, holds: () => boolean): Promise<number> {
  const startMs = performance.now();
  while (!holds()) {
    if (performance.now() - startMs > ms) assert.fail(`${what}: not within ${ms} ms`);
    await sleep(5);
  }
  return performance.now() - startMs;
}

export class Mesh {
  readonly network: LiveNetwork;
  readonly peers: Peer[] = [];
  /** Hosts that refuse connections; all others are silent. */
  readonly closed = new Set<string>();
  readonly #engine: EngineUnderTest;

  constructor(engine: EngineUnderTest, seed = 1) {
    this.#engine = engine;
    this.network = new LiveNetwork(seed);
  }

  async start(
    index: number,
    targets: readonly number[],
    changes: { readonly incarnation?: number; readonly address?: number } = {},
  ): Promise<Peer> {
    const meta: PeerMeta = {
      id: idOf(index),
      name: `peer-${index}`,
      incarnation: changes.incarnation ?? 1,
      advertise: addressOf(changes.address ?? index),
    };
    const datagrams = this.network.datagrams(meta.advertise);
    return await this.startAs(meta, datagrams, targets.map(addressOf));
  }

  async startAs(meta: PeerMeta, datagrams: Datagrams, targets: readonly HostPort[]): Promise<Peer> {
    const engine = this.#engine.create(datagrams, meta, targets, {
      probe: async ({ host }) => (this.closed.has(host) ? "refused" : "silent"),
    });
    const peer: Peer = { meta, engine, events: [] };
    engine.onEvent((event) => peer.events.push(event));
    this.peers.push(peer);
    await engine.start();
    return peer;
  }

  /** Peers 1 to `count`, all with peer 1 as target, all alive to one another. */
  async joined(count: number): Promise<Peer[]> {
    const peers: Peer[] = [];
    for (let index = 1; index <= count; index += 1) peers.push(await this.start(index, [1]));
    await until("all joined", 5000, () => this.allSee(peers, "alive"));
    return peers;
  }

  allSee(peers: readonly Peer[], state: MemberState, of: readonly Peer[] = peers): boolean {
    return peers.every((peer) =>
      of.every((other) => other === peer || stateAt(peer, other) === state),
    );
  }

  async end(): Promise<void> {
    for (const peer of this.peers) await peer.engine.stop();
  }
}

export function stateAt(peer: Peer, other: Peer): MemberState | undefined {
  return peer.engine.members().find((member) => member.id === other.meta.id)?.state;
}

/** Runs each check on a mesh of its own, and stops what it started. */
export function checker(engine: EngineUnderTest): Check {
  return (what, run, part) => {
    const skip = part === undefined ? false : (engine.lacks?.[part] ?? false);
    test(`${engine.name}: ${what}`, { skip }, async () => {
      const mesh = new Mesh(engine);
      try {
        await run(mesh);
      } finally {
        await mesh.end();
      }
    });
  };
}

export function membershipContract(engine: EngineUnderTest): void {
  const check = checker(engine);
  checkJoins(check, engine);
  checkEnds(check, engine);
  checkPartition(check, engine);
  checkLives(check, engine);
  checkLoss(check, engine);
  checkEvidence(check, engine);
}

/** What tells a dead daemon from a dead host, and a deaf accuser from a dead mesh. */
function checkEvidence(check: Check, engine: EngineUnderTest): void {
  const closed = "a closed port is known at once, by all, and told apart from silence";
  const closing = async (mesh: Mesh): Promise<void> => {
    const [a, b, ...rest] = await mesh.joined(6);
    assert.ok(a && b);
    await sleep(10 * engine.intervalMs);
    mesh.closed.add(a.meta.advertise.host);
    await a.engine.stop();
    await until("dead", engine.closedMs, () => mesh.allSee([b, ...rest], "dead", [a]));
    const evidence = (peer: Peer) => peer.engine.members().find(({ id }) => id === a.meta.id);
    assert.ok([b, ...rest].every((peer) => evidence(peer)?.evidence === "refused"));
    await b.engine.stop();
    await until("dead", verdictMsOf(engine), () => mesh.allSee(rest, "dead", [b]));
    const silent = rest[0]?.engine.members().find(({ id }) => id === b.meta.id);
    assert.equal(silent?.evidence, "silent");
  };
  check(closed, closing);

  const alone = "a peer that alone hears nobody buries nobody while a small cut would be over";
  const deafened = async (mesh: Mesh): Promise<void> => {
    const [deaf, ...rest] = await mesh.joined(6);
    assert.ok(deaf);
    mesh.network.partition(
      [deaf.meta.advertise.host],
      rest.map(({ meta }) => meta.advertise.host),
    );
    await until("dead at the others", verdictMsOf(engine), () => mesh.allSee(rest, "dead", [deaf]));
    await sleep(engine.suspicionMs);
    mesh.network.heal();
    await until("healed", engine.healMaxMs + 10 * engine.intervalMs, () =>
      mesh.allSee([deaf, ...rest], "alive"),
    );
    assert.ok(!deaf.events.some((event) => event.type === "dead"));
  };
  check(alone, deafened, "lone accuser");
}

/** Ten rounds to the first failed probe, the probe itself, the suspicion. */
const verdictMsOf = (engine: EngineUnderTest): number =>
  10 * engine.intervalMs + engine.suspicionMs;

/** Kills and leaves. */
function checkEnds(check: Check, engine: EngineUnderTest): void {
  const { healMaxMs } = engine;
  const verdictMs = verdictMsOf(engine);
  check("two peers notice a kill", async (mesh) => {
    const [a, b] = await mesh.joined(2);
    assert.ok(a && b);
    await b.engine.stop();
    await until("dead", verdictMs, () => stateAt(a, b) === "dead");
    assert.deepEqual(
      a.events.filter((event) => event.member.id === b.meta.id).map((event) => event.type),
      ["alive", "suspect", "dead"],
    );
  });

  check("a kill is known by all", async (mesh) => {
    const [a, ...rest] = await mesh.joined(5);
    assert.ok(a);
    await a.engine.stop();
    await until("dead at all", verdictMs, () => mesh.allSee(rest, "dead", [a]));
    assert.ok(mesh.allSee(rest, "alive"));
  });

  check("a leave is known by all at once and is not a death", async (mesh) => {
    const [a, ...rest] = await mesh.joined(5);
    assert.ok(a);
    const leaving = a.engine.leave();
    await until("left at all", 100, () => mesh.allSee(rest, "left", [a]));
    await leaving;
    await a.engine.stop();
    await sleep(verdictMs);
    assert.ok(mesh.allSee(rest, "left", [a]));
    assert.ok(rest.every((peer) => !peer.events.some((event) => event.type === "dead")));
    await mesh.start(1, [], { incarnation: 2 });
    await until("back", healMaxMs + 500, () => mesh.allSee(rest, "alive", [a]));
  });
}

/** Cuts of any length. */
function checkPartition(check: Check, engine: EngineUnderTest): void {
  const { intervalMs, healMaxMs } = engine;
  const verdictMs = verdictMsOf(engine);
  check("a partition longer than any suspicion heals", async (mesh) => {
    // A seventh brings the halves together and is gone, so that nobody was told of the other half.
    const bridge = await mesh.start(7, []);
    const peers = await Promise.all([1, 2, 3, 4, 5, 6].map((index) => mesh.start(index, [7])));
    await until("all joined", 5000, () => mesh.allSee(peers, "alive"));
    await bridge.engine.leave();
    await bridge.engine.stop();
    const [left, right] = [peers.slice(0, 3), peers.slice(3)];
    mesh.network.partition(
      left.map((peer) => peer.meta.advertise.host),
      right.map((peer) => peer.meta.advertise.host),
    );
    const isSplit = () => mesh.allSee(left, "dead", right) && mesh.allSee(right, "dead", left);
    await until("split", 2 * verdictMs, isSplit);
    assert.ok(mesh.allSee(left, "alive") && mesh.allSee(right, "alive"), "halves stay whole");
    await sleep(2 * healMaxMs);
    mesh.network.heal();
    await until("healed", healMaxMs + 10 * intervalMs, () => mesh.allSee(peers, "alive"));
    const wrong = left.filter((peer) =>
      peer.events.some((event) => event.type === "dead" && left.some(sameId(event))),
    );
    assert.equal(wrong.length, 0, "no neighbour is buried by the other half");
  });
}

/** Restarts and moves. */
function checkLives(check: Check, engine: EngineUnderTest): void {
  const { intervalMs } = engine;
  const verdictMs = verdictMsOf(engine);
  check("a fast restart replaces the old life", async (mesh) => {
    const [a, b, c] = await mesh.joined(3);
    assert.ok(a && b && c);
    await c.engine.stop();
    const again = await mesh.start(3, [1], { incarnation: 2 });
    const seen = () =>
      [a, b].every((peer) => {
        const records = peer.engine.members().filter((member) => member.id === c.meta.id);
        return (
          records.length === 1 && records[0]?.incarnation === 2 && records[0].state === "alive"
        );
      });
    await until("the new life", 4 * intervalMs, seen);
    await until("all back", 4 * intervalMs, () => mesh.allSee([a, b, again], "alive"));
    assert.ok(!a.events.some((event) => event.type === "dead"));
  });

  check("quick restarts whose last packets come late are no clones", async (mesh) => {
    const [a, b, first] = await mesh.joined(3);
    assert.ok(a && b && first);
    let life = first;
    for (const incarnation of [2, 3, 4]) {
      const last: [HostPort, Uint8Array][] = [];
      mesh.network.tap = (from, to, packet) => {
        const isIts = from.host === life.meta.advertise.host;
        if (isIts && to.host !== from.host) last.push([to, Uint8Array.from(packet)]);
      };
      await life.engine.leave();
      await life.engine.stop();
      mesh.network.tap = undefined;
      life = await mesh.start(3, [1], { incarnation });
      await until("back", 3000, () => mesh.allSee([a, b, life], "alive"));
      for (const [to, packet] of last) mesh.network.inject(life.meta.advertise, to, packet);
      await sleep(700);
    }
    for (const { engine } of [a, b, life]) assert.deepEqual(engine.problems(), []);
  });

  check("a peer that moves to another address leaves no ghost", async (mesh) => {
    const [a, b, c] = await mesh.joined(3);
    assert.ok(a && b && c);
    await c.engine.stop();
    await mesh.start(3, [1], { incarnation: 2, address: 33 });
    const moved = () =>
      [a, b].every((peer) => peer.engine.members().some((m) => m.advertise.host === "10.9.0.33"));
    await until("moved", 4 * intervalMs, moved);
    await sleep(verdictMs);
    assert.ok(moved());
    assert.deepEqual(
      a.engine.members().map((member) => member.state),
      Array(3).fill("alive"),
    );
  });
}

const sameId = (event: MemberEvent) => (peer: Peer) => peer.meta.id === event.member.id;

export type Check = (what: string, run: (mesh: Mesh) => Promise<void>, part?: Lack) => void;

function checkJoins(check: Check, { intervalMs, healMaxMs }: EngineUnderTest): void {
  check("five peers started together join", async (mesh) => {
    const peers = await Promise.all([1, 2, 3, 4, 5].map((index) => mesh.start(index, [1])));
    await until("all joined", 5 * intervalMs, () => mesh.allSee(peers, "alive"));
    const [self, ...others] = peers[0]?.engine.members() ?? [];
    assert.ok(self?.self && self.id === idOf(1));
    assert.deepEqual(
      others.map((member) => member.id),
      [2, 3, 4, 5].map(idOf),
    );
    assert.deepEqual(
      peers[1]?.engine.targets().map((target) => target.state),
      ["connected"],
    );
    const isMeasured = () => others.every((_, at) => peers[0]?.engine.members()[at + 1]?.rttMs);
    await until("round trips measured", 20 * intervalMs, isMeasured);
  });

  check("a late joiner with one target sees all and is seen by all", async (mesh) => {
    const peers = await mesh.joined(4);
    const late = await mesh.start(5, [3]);
    await until("seen", 2 * intervalMs, () => mesh.allSee([...peers, late], "alive"));
  });

  check("a target that comes up later is joined, forgotten ones are not", async (mesh) => {
    const a = await mesh.start(1, [2, 3]);
    assert.deepEqual(
      a.engine.targets().map((target) => target.state),
      ["trying", "trying"],
    );
    a.engine.forget([addressOf(3)]);
    await sleep(2 * healMaxMs);
    assert.ok((a.engine.targets()[0]?.attempts ?? 0) > 1);
    const b = await mesh.start(2, []);
    const c = await mesh.start(3, []);
    await until("joined", healMaxMs + 200, () => mesh.allSee([a, b], "alive"));
    await sleep(2 * healMaxMs);
    assert.equal(stateAt(a, c), undefined);
    a.engine.join([addressOf(3)]);
    await until("joined", 200, () => mesh.allSee([a, b, c], "alive"));
  });
}

function checkLoss(check: Check, { intervalMs, suspicionMs }: EngineUnderTest): void {
  for (const loss of [0.2, 0.3]) {
    check(`${loss * 100} % loss kills nobody`, async (mesh) => {
      const peers = await mesh.joined(5);
      mesh.network.loss = loss;
      await sleep(Math.max(30 * intervalMs, 3 * suspicionMs));
      mesh.network.loss = 0;
      const verdicts = peers
        .flatMap((peer) => peer.events)
        .filter((event) => event.type === "dead");
      assert.equal(verdicts.length, 0);
      await until("quiet", 20 * intervalMs, () => mesh.allSee(peers, "alive"));
    });
  }
}
