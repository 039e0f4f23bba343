/** What the native engine does beyond the contract: clones, the other engine, hostile packets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPort, MembershipEngine, PeerMeta } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { createSwimEngine } from "../../../mesh/io/swim-engine.ts";
import { scaledNative } from "../../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../../mesh/membership/native/engine.ts";
import { PACKET_BYTES_MAX, scaledTiming } from "../../../mesh/membership/timing.ts";
import { addressOf, idOf, sleep, until } from "../../contract/membership.ts";
import { LiveNetwork } from "../../lib/live-network.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

const timing = scaledNative(0.1);

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
    engine: "native" | "swim" = "native",
  ): Promise<MembershipEngine> {
    const ports = {
      datagrams: this.network.datagrams(self.advertise),
      streams: { probe: async () => "silent" as const },
      clock: processClock(),
      random: cryptoRandom(),
      log: this.log,
    };
    const made =
      engine === "native"
        ? createNativeEngine(ports, { self, targets, timing })
        : createSwimEngine(ports, { self, targets, timing: scaledTiming(0.1) });
    this.engines.push(made);
    await made.start();
    return made;
  }

  async end(): Promise<void> {
    for (const engine of this.engines) await engine.stop();
  }
}

async function withPeers(run: (peers: Peers) => Promise<void>): Promise<void> {
  const peers = new Peers();
  try {
    await run(peers);
  } finally {
    await peers.end();
  }
}

const alive = (engine: MembershipEngine): number =>
  engine.members().filter((member) => member.state === "alive").length;
const codes = (engine: MembershipEngine) => engine.problems().map((problem) => problem.code);

test("two processes with one id are named at the clones and at others", async () => {
  await withPeers(async (peers) => {
    const other = await peers.start(meta(1, addressOf(1)), []);
    const original = await peers.start(meta(2, addressOf(2), 5), [addressOf(1)]);
    await until("joined", 1000, () => alive(other) === 2 && alive(original) === 2);
    const clone = await peers.start(meta(2, addressOf(3), 6), [addressOf(1)]);
    await until("seen", 5000, () =>
      [other, original, clone].every((engine) => codes(engine).includes("PEER_ID_SHARED")),
    );
    assert.equal(other.members().length, 2, "never two records for one id");
    assert.equal(other.members()[1]?.advertise.host, addressOf(3).host);
  });
});

test("a peer takes its id back from a later start that is gone", async () => {
  await withPeers(async (peers) => {
    const other = await peers.start(meta(1, addressOf(1)), []);
    const rolledBack = await peers.start(meta(2, addressOf(2), 9), [addressOf(1)]);
    await until("joined", 1000, () => alive(other) === 2);
    await rolledBack.stop();
    const again = await peers.start(meta(2, addressOf(2), 8), [addressOf(1)]);
    const isBack = () => other.members()[1]?.incarnation === 8 && alive(other) === 2;
    await until("back", 5000, isBack);
    await until("sees all", 2000, () => alive(again) === 2);
  });
});

for (const [own, theirs] of [
  ["native", "swim"],
  ["swim", "native"],
] as const) {
  test(`a ${theirs} peer that joins a ${own} mesh is refused by name on both sides`, async () => {
    await withPeers(async (peers) => {
      const a = await peers.start(meta(1, addressOf(1)), [], own);
      const b = await peers.start(meta(2, addressOf(2)), [addressOf(1)], theirs);
      await until("named", 3000, () =>
        [a, b].every((engine) => codes(engine).includes("ENGINE_DIFFERS")),
      );
      assert.match(a.problems()[0]?.text ?? "", /peer-2 at 10\.9\.0\.2:6783 .* engine/);
      assert.match(a.problems()[0]?.next ?? "", new RegExp(`--membership ${own}`));
      assert.deepEqual([alive(a), alive(b)], [1, 1]);
      const sent = peers.network.sentPackets;
      await sleep(1000);
      assert.ok(peers.network.sentPackets - sent < 20, "no endless conversation");
      const lines = peers.log.lines.filter((line) =>
        /runs the membership engine/.test(line.message),
      );
      assert.equal(lines.length, 2, "each says it once");
    });
  });
}

test("IPv6 peers join, and no packet exceeds the limit", async () => {
  await withPeers(async (peers) => {
    const at = (index: number): HostPort => ({ host: `fd00:0:0:1234::${index}`, port: 6783 });
    const engines: MembershipEngine[] = [];
    for (let index = 1; index <= 30; index += 1) {
      engines.push(await peers.start(meta(index, at(index)), [at(1)]));
    }
    await until("joined", 5000, () => engines.every((engine) => alive(engine) === 30));
    assert.ok(peers.network.largestBytes <= PACKET_BYTES_MAX, `${peers.network.largestBytes}`);
  });
});

test("random, cut and mutated packets neither stop an engine nor bury a member", async () => {
  await withPeers(async (peers) => {
    const samples: Uint8Array[] = [];
    peers.network.tap = (_from, _to, packet) => samples.push(Uint8Array.from(packet));
    const engines: MembershipEngine[] = [];
    for (const index of [1, 2, 3]) {
      engines.push(await peers.start(meta(index, addressOf(index)), [addressOf(1)]));
    }
    await until("joined", 2000, () => engines.every((engine) => alive(engine) === 3));
    await sleep(500);
    peers.network.tap = undefined;
    const random = new SeededRandom(9);
    for (let round = 0; round < 6000; round += 1) {
      const packet = Uint8Array.from(samples[random.below(samples.length)] ?? []);
      for (let flips = random.below(5); flips > 0; flips -= 1) {
        packet[random.below(packet.length)] = random.below(256);
      }
      const cut = random.chance(0.3) ? packet.subarray(0, random.below(packet.length)) : packet;
      const bytes = random.chance(0.2) ? random.bytes(random.below(200)) : cut;
      const to = addressOf(1 + random.below(3));
      peers.network.inject({ host: "10.9.9.9", port: 1 }, to, bytes);
      if (round % 200 === 0) await sleep(2);
    }
    await until("alive", 5000, () => engines.every((engine) => alive(engine) >= 3));
    const failed = peers.log.lines.filter((line) => line.message === "a membership packet failed");
    assert.deepEqual(failed, []);
    assert.ok(peers.log.lines.some((line) => line.message === "refused a membership packet"));
  });
});

test("a stopped engine is silent, and an unusable name is refused", async () => {
  await withPeers(async (peers) => {
    const a = await peers.start(meta(1, addressOf(1)), [addressOf(2)]);
    await a.stop();
    const sent = peers.network.sentPackets;
    await sleep(400);
    assert.equal(peers.network.sentPackets, sent);
    const nameless = { ...meta(2, addressOf(2)), name: "" };
    await assert.rejects(peers.start(nameless, []), { code: "CONFIG" });
  });
});
