/**
 * The native engine at sizes and under faults that no real hosts are needed for: virtual time,
 * seeded loss, kills, pauses, cuts. The bounds are the product's targets.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NATIVE_LAN } from "../../mesh/membership/native/config.ts";
import { hostOf, NativeMesh } from "./native-mesh.ts";

async function meshed(seed: number, run: (mesh: NativeMesh) => Promise<void>): Promise<void> {
  const mesh = new NativeMesh(seed);
  try {
    await run(mesh);
  } finally {
    await mesh.end();
  }
}

test("20 peers: joined at once, cheap when idle, kills known in time", async () => {
  await meshed(1, async (mesh) => {
    assert.ok((await mesh.joined(20)) <= 150);
    await mesh.clock.run(10_000);
    const before = mesh.sentBytes();
    await mesh.clock.run(30_000);
    const bytesPerSecond = (mesh.sentBytes() - before) / 20 / 30;
    assert.ok(bytesPerSecond <= 200, `${bytesPerSecond} B/s`);
    assert.equal(mesh.deaths.length, 0);
    for (let round = 0; round < 4; round += 1) {
      const refused = await mesh.kill("refused", 3000);
      assert.equal(refused.length, mesh.peers.length);
      assert.ok((refused.at(-1) ?? 0) <= 1000, `closed port: ${refused.at(-1)} ms`);
      const silent = await mesh.kill("silent", 6000);
      assert.equal(silent.length, mesh.peers.length);
      assert.ok((silent.at(-1) ?? 0) <= 4000, `dead host: ${silent.at(-1)} ms`);
    }
    assert.ok(mesh.seesAll());
  });
});

test("100 peers: as fast, and ring neighbours that die together are found together", async () => {
  await meshed(2, async (mesh) => {
    await mesh.introduced(100);
    await mesh.clock.run(5000);
    const silent = await mesh.kill("silent", 6000);
    assert.equal(silent.length, mesh.peers.length);
    assert.ok((silent.at(-1) ?? 0) <= 4000, `dead host: ${silent.at(-1)} ms`);
    const ring = mesh.peers.slice(1).sort((a, b) => (a.meta.id < b.meta.id ? -1 : 1));
    const victims = ring.slice(40, 43);
    mesh.deaths.length = 0;
    const startMs = mesh.clock.nowMs();
    for (const victim of victims) {
      mesh.peers.splice(mesh.peers.indexOf(victim), 1);
      await victim.engine.stop();
    }
    mesh.network.partition(victims.map(hostOf), mesh.peers.map(hostOf));
    await mesh.clock.run(7000);
    assert.equal(mesh.deaths.length, 3 * mesh.peers.length);
    assert.ok((mesh.deaths.at(-1)?.atMs ?? 0) - startMs <= 6000);
    assert.ok(mesh.seesAll());
  });
});

for (const loss of [0.05, 0.3]) {
  test(`${loss * 100} % loss for a minute kills nobody among 30`, async () => {
    await meshed(3, async (mesh) => {
      await mesh.joined(30);
      mesh.network.loss = loss;
      await mesh.clock.run(60_000);
      assert.equal(mesh.deaths.length, 0);
      mesh.network.loss = 0;
      await mesh.until(10_000, () => mesh.seesAll());
    });
  });
}

test("a cut of ten minutes heals within seconds, no false deaths inside the halves", async () => {
  await meshed(4, async (mesh) => {
    await mesh.joined(16);
    await mesh.clock.run(3000);
    const [left, right] = [mesh.peers.slice(0, 8), mesh.peers.slice(8)];
    mesh.network.partition(left.map(hostOf), right.map(hostOf));
    await mesh.clock.run(600_000);
    assert.ok(mesh.seesAll(left) && mesh.seesAll(right));
    assert.equal(mesh.deaths.length, 2 * 8 * 8);
    mesh.network.heal();
    const healedMs = await mesh.until(10_000, () => mesh.seesAll());
    assert.ok(healedMs <= NATIVE_LAN.healMaxMs + 1000, `${healedMs} ms`);
    assert.equal(mesh.deaths.length, 2 * 8 * 8);
  });
});

test("two peers that cannot reach each other stay members through a third", async () => {
  await meshed(5, async (mesh) => {
    await mesh.joined(5);
    const [, b, c] = mesh.peers;
    assert.ok(b && c);
    mesh.network.partition([hostOf(b)], [hostOf(c)]);
    await mesh.clock.run(120_000);
    assert.equal(mesh.deaths.length, 0);
    assert.ok(mesh.seesAll());
  });
});

test("packets hold still for two seconds and nobody is declared dead", async () => {
  await meshed(6, async (mesh) => {
    await mesh.joined(12);
    await mesh.clock.run(3000);
    const [, slow] = mesh.peers;
    assert.ok(slow);
    for (let round = 0; round < 5; round += 1) {
      mesh.network.paused.add(hostOf(slow));
      await mesh.clock.run(2000);
      mesh.network.resume(hostOf(slow));
      await mesh.clock.run(3000);
    }
    assert.equal(mesh.deaths.length, 0);
    assert.ok(mesh.seesAll());
  });
});

test("views that gossip missed are made equal by comparison", async () => {
  await meshed(7, async (mesh) => {
    await mesh.joined(30);
    await mesh.clock.run(5000);
    const [first, ...others] = mesh.peers;
    assert.ok(first);
    // The newcomer meets only the first peer, whose news of it reaches nobody while it is news.
    mesh.network.partition([hostOf(first), "10.20.0.30"], others.map(hostOf));
    await mesh.start(30);
    await mesh.clock.run(700);
    mesh.network.heal();
    mesh.network.partition(["10.20.0.30"], others.map(hostOf));
    assert.ok(others.every(({ engine }) => engine.members().length === 30));
    await mesh.until(10_000, () => others.every(({ engine }) => engine.members().length === 31));
    assert.equal(mesh.deaths.length, 0);
  });
});
