/**
 * How soon a death is known by all, at many sizes and seeds; what an idle mesh costs; and whom
 * nobody may accuse while processes pause. The bounds are the product's targets.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeMesh } from "./native-mesh.ts";

/** What the seal adds to each packet. */
const SEAL_BYTES = 35;

async function meshOf(seed: number, size: number): Promise<NativeMesh> {
  const mesh = new NativeMesh(seed);
  if (size <= 20) await mesh.joined(size);
  else await mesh.introduced(size);
  await mesh.clock.run(3000);
  return mesh;
}

/** Kills one of `size` peers, then of the rest, `kills` times: when the last knew, each time. */
async function deaths(
  seed: number,
  size: number,
  how: "silent" | "refused",
  kills: number,
): Promise<number[]> {
  const mesh = await meshOf(seed, size);
  const lastMs: number[] = [];
  for (let nth = 0; nth < kills; nth += 1) {
    const times = await mesh.kill(how, how === "silent" ? 5000 : 1500);
    assert.equal(times.length, mesh.peers.length, `seed ${seed}: known by all`);
    lastMs.push(times.at(-1) ?? Number.NaN);
    await mesh.clock.run(2000);
  }
  const here = new Set(mesh.peers.map(({ meta }) => meta.id));
  const wrong = mesh.deaths.filter(({ event }) => here.has(event.member.id));
  assert.equal(wrong.length, 0, `seed ${seed}: nobody else`);
  await mesh.end();
  return lastMs;
}

/** `SEEDS=50` takes so many at every size. */
const SEEDS = Number(process.env.SEEDS ?? 0);

for (const [size, few, kills] of [
  [2, 50, 1],
  [3, 50, 1],
  [4, 50, 1],
  [5, 50, 1],
  [8, 30, 1],
  [20, 10, 1],
  [100, 1, 5],
] as const) {
  test(`${size} peers: a silent host is known within 4 s, a closed port within 1 s`, async (t) => {
    for (const [how, limitMs] of [
      ["silent", 4000],
      ["refused", 1000],
    ] as const) {
      const lastMs: number[] = [];
      for (let seed = 1; seed <= (SEEDS || few); seed += 1) {
        lastMs.push(...(await deaths(seed, size, how, kills)));
      }
      lastMs.sort((a, b) => a - b);
      const [median, worst] = [lastMs[lastMs.length >> 1] ?? 0, lastMs.at(-1) ?? Infinity];
      t.diagnostic(`${how}: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`);
      assert.ok(worst <= limitMs, `${how}: ${worst} ms`);
    }
  });
}

test("an idle peer sends at most 200 bytes a second, sealed, at every size", async (t) => {
  for (const size of [2, 3, 4, 5, 6, 7, 8, 9, 20, 21]) {
    const mesh = await meshOf(size, size);
    await mesh.clock.run(7000);
    const [bytes, packets] = [mesh.sentBytes(), mesh.network.sentPackets];
    await mesh.clock.run(60_000);
    const each = (total: number): number => total / size / 60;
    const perSecond = each(mesh.network.sentPackets - packets);
    const plain = each(mesh.sentBytes() - bytes);
    const sealed = plain + perSecond * SEAL_BYTES;
    const rates = `${perSecond.toFixed(2)} packets/s, ${plain.toFixed(0)} B/s, sealed`;
    t.diagnostic(`${size} peers: ${rates} ${sealed.toFixed(0)} B/s`);
    assert.ok(sealed <= 200, `${size} peers: ${sealed} B/s`);
    await mesh.end();
  }
});

test("partners on the ring that die together are missed within 7 s", async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const mesh = await meshOf(seed, 4);
    const ring = [...mesh.peers].sort((a, b) => (a.meta.id < b.meta.id ? -1 : 1));
    const victims = ring.slice(0, 2);
    const others = ring.slice(2);
    const hosts = (peers: typeof ring) => peers.map(({ meta }) => meta.advertise.host);
    mesh.network.partition(hosts(victims), hosts(others));
    await mesh.clock.run(7000);
    const known = mesh.deaths.filter(({ by }) => others.some(({ meta }) => meta.id === by));
    assert.equal(known.length, 4, `seed ${seed}`);
    await mesh.end();
  }
});

/** serf's figures for the same pauses: 0, 0, 335 and 303 verdicts, none about the healthy. */
for (const [count, pausedMs, runsMs, spared] of [
  [1, 2000, 500, true],
  [4, 2000, 500, true],
  [4, 8000, 1000, false],
  [4, 16_000, 1000, false],
] as const) {
  const whom = spared ? "nobody" : "none but the paused";
  test(`${count} of 20 pause for ${pausedMs} ms again and again: ${whom} is buried`, async (t) => {
    for (let seed = 1; seed <= (SEEDS || 1); seed += 1) {
      const mesh = await meshOf(seed, 20);
      const slow = mesh.peers.slice(3, 3 + count);
      const slowIds = new Set(slow.map(({ meta }) => meta.id));
      for (let atMs = 0; atMs < 60_000; atMs += pausedMs + runsMs) {
        for (const peer of slow) mesh.pause(peer);
        await mesh.clock.run(pausedMs);
        for (const peer of slow) mesh.resume(peer);
        await mesh.clock.run(runsMs);
      }
      const healthy = mesh.deaths.filter(({ event }) => !slowIds.has(event.member.id));
      t.diagnostic(`seed ${seed}: ${mesh.deaths.length} verdicts, ${healthy.length} of them false`);
      assert.equal(healthy.length, 0, "about the healthy");
      if (spared) assert.equal(mesh.deaths.length, 0, "about the paused");
      await mesh.until(10_000, () => mesh.seesAll(), 20);
      await mesh.end();
    }
  });
}

test("a busy process whose peers all fail is not held up by its own pauses", async (t) => {
  const lastMs: number[] = [];
  for (let seed = 1; seed <= (SEEDS || 10); seed += 1) {
    for (const [pausedMs, runsMs] of [
      [250, 250],
      [400, 400],
      [600, 600],
    ] as const) {
      const mesh = await meshOf(seed, 3);
      const [busy, ...others] = mesh.peers;
      assert.ok(busy);
      const live = async (): Promise<void> => {
        mesh.pause(busy);
        await mesh.clock.run(2 * mesh.random.below(pausedMs));
        mesh.resume(busy);
        await mesh.clock.run(2 * mesh.random.below(runsMs));
      };
      for (let times = 0; times < 10; times += 1) await live();
      assert.equal(mesh.deaths.length, 0, `seed ${seed}: nobody before`);
      const hosts = mesh.peers.map(({ meta }) => meta.advertise.host);
      for (const host of hosts.slice(1)) {
        mesh.network.partition([host], hosts);
        const cutMs = mesh.clock.nowMs();
        while (mesh.clock.nowMs() < cutMs + 1500) await live();
      }
      const startMs = mesh.clock.nowMs();
      const known = (): number => mesh.deaths.filter(({ by }) => by === busy.meta.id).length;
      while (known() < others.length && mesh.clock.nowMs() < startMs + 60_000) await live();
      lastMs.push(mesh.clock.nowMs() - startMs);
      await mesh.end();
    }
  }
  lastMs.sort((a, b) => a - b);
  const worst = lastMs.at(-1) ?? Number.NaN;
  const median = lastMs[lastMs.length >> 1] ?? Number.NaN;
  t.diagnostic(`median ${median} ms, worst ${worst} ms`);
  // Windows begun anew at each pause make the median 4200 ms. The tail depends on which probes the
  // pauses fall on: 13 s is the worst of 120 runs.
  assert.ok(median <= 3800, `median ${median} ms`);
  assert.ok(worst <= 20_000, `${worst} ms`);
});
