/** What the swim engine does beyond the contract: clones, wrong addresses, silence after stop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPort, MembershipEngine, PeerMeta } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { createSwimEngine } from "../../../mesh/io/swim-engine.ts";
import { openUdp } from "../../../mesh/io/udp.ts";
import { scaledTiming } from "../../../mesh/membership/timing.ts";
import { addressOf, idOf, sleep, until } from "../../contract/membership.ts";
import { LiveNetwork } from "../../lib/live-network.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const timing = scaledTiming(0.1);

function meta(id: number, address: HostPort, incarnation = 1): PeerMeta {
  return { id: idOf(id), name: `peer-${id}`, incarnation, advertise: address };
}

class Peers {
  readonly network = new LiveNetwork(7);
  readonly log = new QuietLog();
  readonly engines: MembershipEngine[] = [];

  async start(
    self: PeerMeta,
    targets: readonly HostPort[],
    datagrams = this.network.datagrams(self.advertise),
  ): Promise<MembershipEngine> {
    const clock = processClock();
    const engine = createSwimEngine(
      { datagrams, clock, random: cryptoRandom(), log: this.log },
      { self, targets, timing },
    );
    this.engines.push(engine);
    await engine.start();
    return engine;
  }

  async end(): Promise<void> {
    for (const engine of this.engines) await engine.stop();
  }
}

const alive = (engine: MembershipEngine): number =>
  engine.members().filter((member) => member.state === "alive").length;

test("two processes with one id are named at the clones and at others", async () => {
  const peers = new Peers();
  try {
    const other = await peers.start(meta(1, addressOf(1)), []);
    const original = await peers.start(meta(2, addressOf(2), 5), [addressOf(1)]);
    await until("joined", 1000, () => alive(other) === 2 && alive(original) === 2);
    const clone = await peers.start(meta(2, addressOf(3), 6), [addressOf(1)]);
    const codes = (engine: MembershipEngine) => engine.problems().map((problem) => problem.code);
    await until("seen", 5000, () =>
      [other, original, clone].every((engine) => codes(engine).includes("PEER_ID_SHARED")),
    );
    assert.ok(codes(original).includes("PEER_SUPERSEDED"));
    assert.equal(other.members().length, 2, "never two records for one id");
    assert.equal(other.members()[1]?.advertise.host, addressOf(3).host);
    const [problem] = other.problems();
    assert.deepEqual(problem?.addresses, [addressOf(3), addressOf(2)]);
    const named = peers.log.lines.filter(
      (line) => line.message === "two running peers share one id",
    );
    assert.equal(named.length, 3, "each says it once");
  } finally {
    await peers.end();
  }
});

test("a peer takes its id back from a later start that is gone", async () => {
  const peers = new Peers();
  try {
    const other = await peers.start(meta(1, addressOf(1)), []);
    const rolledBack = await peers.start(meta(2, addressOf(2), 9), [addressOf(1)]);
    await until("joined", 1000, () => alive(other) === 2);
    await rolledBack.stop();
    const again = await peers.start(meta(2, addressOf(2), 8), [addressOf(1)]);
    const isBack = () => other.members()[1]?.incarnation === 8 && alive(other) === 2;
    await until("back", 5000, isBack);
    await until("sees all", 2000, () => alive(again) === 2);
  } finally {
    await peers.end();
  }
});

test("a restart is no clone", async () => {
  const peers = new Peers();
  try {
    const other = await peers.start(meta(1, addressOf(1)), []);
    for (let incarnation = 1; incarnation <= 4; incarnation += 1) {
      const engine = await peers.start(meta(2, addressOf(2), incarnation), [addressOf(1)]);
      await until("joined", 1000, () => alive(other) === 2 && alive(engine) === 2);
      await engine.stop();
    }
    assert.deepEqual(other.problems(), []);
  } finally {
    await peers.end();
  }
});

test("an address taken over neither keeps the old peer alive nor the new one out", async () => {
  const peers = new Peers();
  try {
    const a = await peers.start(meta(1, addressOf(1)), []);
    const b = await peers.start(meta(2, addressOf(2)), [addressOf(1)]);
    await until("joined", 1000, () => alive(a) === 2);
    await b.stop();
    await peers.start(meta(3, addressOf(2)), []);
    const states = () => a.members().map((member) => `${member.name} ${member.state}`);
    const wanted = ["peer-1 alive", "peer-2 dead", "peer-3 alive"];
    await until("both right", 3000, () => states().join() === wanted.join());
  } finally {
    await peers.end();
  }
});

test("its own address among the targets is no problem", async () => {
  const peers = new Peers();
  try {
    const a = await peers.start(meta(1, addressOf(1)), [addressOf(1)]);
    await sleep(timing.healMaxMs);
    assert.deepEqual([a.members().length, a.problems()], [1, []]);
    assert.deepEqual(
      a.targets().map((target) => target.state),
      ["connected"],
    );
  } finally {
    await peers.end();
  }
});

test("a stopped engine is silent, and stopping twice is harmless", async () => {
  const peers = new Peers();
  try {
    const a = await peers.start(meta(1, addressOf(1)), [addressOf(2), addressOf(9)]);
    const b = await peers.start(meta(2, addressOf(2)), []);
    await until("joined", 1000, () => alive(a) === 2 && alive(b) === 2);
    await a.leave();
    await b.leave();
    for (const engine of [a, b, a]) await engine.stop();
    await sleep(2 * timing.intervalMs);
    const { sentPackets } = peers.network;
    await sleep(20 * timing.intervalMs);
    assert.equal(peers.network.sentPackets, sentPackets);
    await assert.rejects(a.start(), { code: "INTERNAL" });
  } finally {
    await peers.end();
  }
});

test("a peer that cannot be announced is refused at once", () => {
  const ports = {
    datagrams: new LiveNetwork(1).datagrams(addressOf(1)),
    clock: processClock(),
    random: cryptoRandom(),
    log: new QuietLog(),
  };
  for (const self of [
    meta(1, { host: "0.0.0.0", port: 6783 }),
    meta(1, { host: "peer.example", port: 6783 }),
    { ...meta(1, addressOf(1)), name: "x".repeat(64) },
    { ...meta(1, addressOf(1)), id: "12" },
  ]) {
    assert.throws(() => createSwimEngine(ports, { self, targets: [], timing }), { code: "CONFIG" });
  }
});

for (const [family, hosts] of [
  ["IPv4", ["127.0.0.11", "127.0.0.12", "127.0.0.13"]],
  ["IPv6", ["::1", "::1", "::1"]],
] as const) {
  test(`real UDP over ${family}`, async () => {
    const peers = new Peers();
    const sockets = await Promise.all(
      hosts.map(async (host) => await openUdp({ host, port: 0 }, peers.log)),
    );
    try {
      const first = sockets[0]?.local;
      assert.ok(first);
      const engines = await Promise.all(
        sockets.map(
          async (socket, at) => await peers.start(meta(at + 1, socket.local), [first], socket),
        ),
      );
      await until("joined", 2000, () => engines.every((engine) => alive(engine) === 3));
      await engines[2]?.stop();
      await until("dead", 3000, () => engines.slice(0, 2).every((engine) => alive(engine) === 2));
    } finally {
      await peers.end();
      for (const socket of sockets) await socket.close();
    }
  });
}
