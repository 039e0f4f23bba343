/** Whatever arrives, the engine goes on: random bytes, cut, mutated, and well-formed forgeries. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeWire, type HostPort, type WireValue } from "../../../mesh/index.ts";
import {
  decodePacket,
  encodeMessage,
  encodePackets,
  type Message,
} from "../../../mesh/membership/packet.ts";
import { scaledTiming } from "../../../mesh/membership/timing.ts";
import { swimUnderTest } from "../../contract/engines.ts";
import {
  type EngineUnderTest,
  idOf,
  Mesh,
  sleep,
  stateAt,
  until,
} from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

const timing = scaledTiming(0.1);
const stranger: HostPort = { host: "10.9.9.9", port: 1 };

function engine(log: QuietLog): EngineUnderTest {
  return swimUnderTest(timing, { log, random: (self) => new SeededRandom(self.incarnation) });
}

/** Length-prefixed frames of arbitrary wire values. */
function frames(...values: WireValue[]): Uint8Array {
  return Buffer.concat(
    values.map((value) => {
      const bytes = encodeWire(value);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
}

function mutated(random: SeededRandom, packet: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(packet);
  for (let flips = 1 + random.below(4); flips > 0; flips -= 1) {
    copy[random.below(copy.length)] = random.below(256);
  }
  return random.chance(0.3) ? copy.subarray(0, random.below(copy.length)) : copy;
}

test("random, cut and mutated packets neither stop an engine nor bury a member", async () => {
  const log = new QuietLog();
  const mesh = new Mesh(engine(log));
  try {
    const samples: Uint8Array[] = [];
    mesh.network.tap = (_from, _to, packet) => samples.push(Uint8Array.from(packet));
    const peers = await mesh.joined(3);
    await sleep(5 * timing.intervalMs);
    mesh.network.tap = undefined;
    assert.ok(samples.length > 20);
    const random = new SeededRandom(20_260_101);
    for (let round = 0; round < 6000; round += 1) {
      const to = peers[random.below(peers.length)]?.meta.advertise ?? stranger;
      const sample = samples[random.below(samples.length)] ?? new Uint8Array(1);
      const packet = random.chance(0.3) ? random.bytes(random.below(200)) : mutated(random, sample);
      mesh.network.inject(random.chance(0.5) ? stranger : to, to, packet);
      if (round % 200 === 0) await sleep(2);
    }
    await until("alive", 3000, () => mesh.allSee(peers, "alive"));
    const failed = log.lines.filter((line) => line.message === "a membership packet failed");
    assert.deepEqual(failed, []);
    assert.ok(log.lines.some((line) => line.message === "refused a membership packet"));
  } finally {
    await mesh.end();
  }
});

const header = [1, Buffer.alloc(16, 7), 1, 1, null, 0] as const;
const record = (changes: Partial<Record<number, WireValue>> = {}): WireValue[] =>
  [Buffer.alloc(16, 7), 1, 1, "x", "10.9.9.9", 6783, 0, 0, 0].map(
    (field, at) => changes[at] ?? field,
  );

test("ill-shaped packets are refused whole", () => {
  const refused: [string, Uint8Array][] = [
    ["two bytes that kill the bare package", Buffer.from([0x0c, 0xc0])],
    ["nothing", new Uint8Array(0)],
    ["no header", frames(null)],
    ["another engine", frames([2, ...header.slice(1)])],
    ["a short id", frames([1, Buffer.alloc(15), 1, 1, null, 0])],
    ["an update of nothing", frames([...header], [14, null])],
    ["a hello without a digest", frames([...header], [12, record(), null, true])],
    ["a relay request to nobody", frames([...header], [11, 1, null])],
    ["a relay request to a number", frames([...header], [11, 1, 42])],
    ["a negative seq", frames([...header], [10, -1])],
    ["a fractional seq", frames([...header], [10, 1.5])],
    ["an unknown state", frames([...header], [14, record({ 6: 4 })])],
    ["a refutation without end", frames([...header], [14, record({ 7: 2 ** 53 })])],
    ["a huge refutation", frames([...header], [14, record({ 7: 2 ** 41 })])],
    ["a host that is a number", frames([...header], [14, record({ 4: 5 })])],
    ["a host that is a name", frames([...header], [14, record({ 4: "example.org" })])],
    ["an octal host", frames([...header], [14, record({ 4: "010.0.0.1" })])],
    ["a multicast host", frames([...header], [14, record({ 4: "239.1.1.1" })])],
    ["a broadcast host", frames([...header], [14, record({ 4: "255.255.255.255" })])],
    ["any host", frames([...header], [14, record({ 4: "0.0.0.0" })])],
    ["port 0", frames([...header], [14, record({ 5: 0 })])],
    ["other hosts that are no list", frames([...header], [14, [...record(), "10.0.0.2"]])],
    ["too many hosts", frames([...header], [14, [...record(), Array(4).fill("10.0.0.2")]])],
    ["a multicast host among several", frames([...header], [14, [...record(), ["239.1.1.1"]]])],
    ["an empty name", frames([...header], [14, record({ 3: "" })])],
    ["a name with an escape", frames([...header], [14, record({ 3: "\u001b[2J" })])],
    ["a torn message", frames([...header], [10, 1]).subarray(0, -1)],
  ];
  for (const [what, packet] of refused) {
    assert.throws(() => decodePacket(packet), { code: "BAD_MESSAGE" }, what);
  }
  const fine = decodePacket(
    frames([...header, "later"], [14, [...record(), [], "later"]], [99, "?"]),
  );
  assert.equal(fine.messages.length, 1);
});

test("forged records do not bury a member, and relaying reaches members only", async () => {
  const mesh = new Mesh(engine(new QuietLog()));
  try {
    const peers = await mesh.joined(3);
    const [a, b, c] = peers;
    assert.ok(a && b && c);
    const forger = { sender: idOf(99), era: 0, incarnation: 1, boot: 1, target: null };
    const boot = await bootOf(mesh, 3);
    const forge = (message: Message): void => {
      for (const packet of encodePackets(forger, [encodeMessage(message)])) {
        for (const peer of peers) mesh.network.inject(stranger, peer.meta.advertise, packet);
      }
    };
    for (const refutation of [0, 5, 2 ** 19, 2 ** 20 + 5, 2 ** 40]) {
      const forged = { meta: c.meta, era: 0, boot, refutation };
      forge({ type: "update", record: { ...forged, state: "dead" } });
      forge({ type: "update", record: { ...forged, state: "alive" } });
      forge({ type: "update", record: { ...forged, state: "suspect" } });
    }
    let relayed = 0;
    mesh.network.tap = (_from, to) => {
      if (to.host === stranger.host) relayed += 1;
    };
    forge({ type: "pingReq", seq: 1, destination: idOf(77) });
    await sleep(2 * timing.suspicionMs + 10 * timing.intervalMs);
    assert.ok(mesh.allSee(peers, "alive"));
    assert.ok(!peers.some((peer) => peer.events.some((event) => event.type === "dead")));
    assert.ok(relayed < 20, "a stranger gets no stream of packets");
    assert.equal(stateAt(a, c), "alive");
  } finally {
    await mesh.end();
  }
});

/** The boot number peer `index` carries, read off the wire. */
async function bootOf(mesh: Mesh, index: number): Promise<number> {
  let boot: number | undefined;
  mesh.network.tap = (_from, _to, packet) => {
    const { header: seen } = decodePacket(packet);
    if (seen.sender === idOf(index)) boot = seen.boot;
  };
  await until("a packet", 2000, () => boot !== undefined);
  mesh.network.tap = undefined;
  return boot ?? 0;
}
