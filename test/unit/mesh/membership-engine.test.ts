/** What both engines do beyond the contract: clones, wrong addresses, silence after stop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineName, HostPort, PeerMeta } from "../../../mesh/index.ts";
import { openUdp } from "../../../mesh/io/udp.ts";
import { alive, codes, nativeUnderTest, swimUnderTest, withPeers } from "../../contract/engines.ts";
import { addressOf, idOf, sleep, until } from "../../contract/membership.ts";
import { LiveNetwork } from "../../lib/live-network.ts";

function meta(id: number, address: HostPort, incarnation = 1): PeerMeta {
  return { id: idOf(id), name: `peer-${id}`, incarnation, advertise: address };
}

function checkClones(name: EngineName): void {
  test(`${name}: two processes with one id are named at the clones and at others`, async () => {
    await withPeers(async (peers) => {
      const other = await peers.start(meta(1, addressOf(1)), [], name);
      const original = await peers.start(meta(2, addressOf(2), 5), [addressOf(1)], name);
      await until("joined", 1000, () => alive(other) === 2 && alive(original) === 2);
      const clone = await peers.start(meta(2, addressOf(3), 6), [addressOf(1)], name);
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
    });
  });

  test(`${name}: a peer takes its id back from a later start that is gone`, async () => {
    await withPeers(async (peers) => {
      const other = await peers.start(meta(1, addressOf(1)), [], name);
      const rolledBack = await peers.start(meta(2, addressOf(2), 9), [addressOf(1)], name);
      await until("joined", 1000, () => alive(other) === 2);
      await rolledBack.stop();
      const again = await peers.start(meta(2, addressOf(2), 8), [addressOf(1)], name);
      const isBack = () => other.members()[1]?.incarnation === 8 && alive(other) === 2;
      await until("back", 5000, isBack);
      await until("sees all", 2000, () => alive(again) === 2);
    });
  });

  test(`${name}: a restart is no clone`, async () => {
    await withPeers(async (peers) => {
      const other = await peers.start(meta(1, addressOf(1)), [], name);
      for (let incarnation = 1; incarnation <= 4; incarnation += 1) {
        const self = meta(2, addressOf(2), incarnation);
        const engine = await peers.start(self, [addressOf(1)], name);
        await until("joined", 1000, () => alive(other) === 2 && alive(engine) === 2);
        await engine.stop();
      }
      assert.deepEqual(other.problems(), []);
    });
  });
}

function checkAddresses(name: EngineName, healMaxMs: number): void {
  test(`${name}: an address taken over misleads nobody`, async () => {
    await withPeers(async (peers) => {
      const a = await peers.start(meta(1, addressOf(1)), [], name);
      const b = await peers.start(meta(2, addressOf(2)), [addressOf(1)], name);
      await until("joined", 1000, () => alive(a) === 2);
      await b.stop();
      await peers.start(meta(3, addressOf(2)), [], name);
      const states = () => a.members().map((member) => `${member.name} ${member.state}`);
      const wanted = ["peer-1 alive", "peer-2 dead", "peer-3 alive"];
      await until("both right", 3000, () => states().join() === wanted.join());
    });
  });

  test(`${name}: its own address among the targets is no problem`, async () => {
    await withPeers(async (peers) => {
      const a = await peers.start(meta(1, addressOf(1)), [addressOf(1)], name);
      await sleep(healMaxMs);
      assert.deepEqual([a.members().length, a.problems()], [1, []]);
      assert.deepEqual(
        a.targets().map((target) => target.state),
        ["connected"],
      );
    });
  });

  for (const [family, hosts] of [
    ["IPv4", ["127.0.0.11", "127.0.0.12", "127.0.0.13"]],
    ["IPv6", ["::1", "::1", "::1"]],
  ] as const) {
    test(`${name}: real UDP over ${family}`, async () => {
      await withPeers(async (peers) => {
        const sockets = await Promise.all(
          hosts.map(async (host) => await openUdp({ host, port: 0 }, peers.log)),
        );
        try {
          const first = sockets[0]?.local;
          assert.ok(first);
          const started = sockets.map(
            async (socket, at) =>
              await peers.start(meta(at + 1, socket.local), [first], name, socket),
          );
          const engines = await Promise.all(started);
          await until("joined", 2000, () => engines.every((engine) => alive(engine) === 3));
          await engines[2]?.stop();
          const isKnown = () => engines.slice(0, 2).every((engine) => alive(engine) === 2);
          await until("dead", 3000, isKnown);
        } finally {
          for (const engine of peers.engines) await engine.stop();
          for (const socket of sockets) await socket.close();
        }
      });
    });
  }
}

function checkSilence(name: EngineName, intervalMs: number): void {
  test(`${name}: a stopped engine is silent, and stopping twice is harmless`, async () => {
    await withPeers(async (peers) => {
      const a = await peers.start(meta(1, addressOf(1)), [addressOf(2), addressOf(9)], name);
      const b = await peers.start(meta(2, addressOf(2)), [], name);
      await until("joined", 1000, () => alive(a) === 2 && alive(b) === 2);
      await a.leave();
      await b.leave();
      for (const engine of [a, b, a]) await engine.stop();
      await sleep(2 * intervalMs);
      const { sentPackets } = peers.network;
      await sleep(20 * intervalMs);
      assert.equal(peers.network.sentPackets, sentPackets);
      await assert.rejects(a.start(), { code: "INTERNAL" });
    });
  });
}

for (const engine of [swimUnderTest(), nativeUnderTest()]) {
  const name = engine.name as EngineName;
  checkClones(name);
  checkAddresses(name, engine.healMaxMs);
  checkSilence(name, engine.intervalMs);

  test(`${name}: a peer that cannot be announced is refused at once`, () => {
    const datagrams = new LiveNetwork(1).datagrams(addressOf(1));
    const streams = { probe: async () => "silent" as const };
    for (const self of [
      meta(1, { host: "0.0.0.0", port: 6783 }),
      meta(1, { host: "peer.example", port: 6783 }),
      { ...meta(1, addressOf(1)), name: "x".repeat(64) },
      { ...meta(1, addressOf(1)), name: "" },
      { ...meta(1, addressOf(1)), id: "12" },
    ]) {
      assert.throws(() => engine.create(datagrams, self, [], streams), { code: "CONFIG" });
    }
  });
}
