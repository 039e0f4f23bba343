/** Engines that meet the other kind, and the native engine among large and hostile packets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPort, MembershipEngine, PeerMeta } from "../../../mesh/index.ts";
import { PACKET_BYTES_MAX } from "../../../mesh/membership/timing.ts";
import { alive, codes, withPeers } from "../../contract/engines.ts";
import { addressOf, idOf, sleep, until } from "../../contract/membership.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

function meta(id: number, address: HostPort): PeerMeta {
  return { id: idOf(id), name: `peer-${id}`, incarnation: 1, advertise: address };
}

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
