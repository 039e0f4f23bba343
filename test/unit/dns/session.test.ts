/** A sandbox at work: relaying with its checks, limits and timeouts, and TCP clients. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import oracle from "dns-packet";
import { frame } from "../../../dns/framing.ts";
import { Session } from "../../../dns/session.ts";
import { Zone } from "../../../dns/zone.ts";
import { LIMITS, TIMES } from "../../../mesh/index.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { FakePeer, FakeSockets } from "./fake-sandbox.ts";

const RESOLVER = { host: "127.0.0.11", port: 53 };
const record = { network: "n", names: ["web"], ip: "10.32.0.2", peer: "", endpointId: "" };
const zone = new Zone([record], [], "tsweave.local");
const asker = { networks: new Set(["n"]), links: new Set<string>() };

let clock: VirtualClock;
let sockets: FakeSockets;
let session: Session;
let random: SeededRandom;
let internal: boolean;
let deaf: number;
let counters: { answered: number; forwarded: number; rejected: number; failed: number };

beforeEach(() => {
  clock = new VirtualClock();
  sockets = new FakeSockets();
  internal = false;
  deaf = 0;
  counters = { answered: 0, forwarded: 0, rejected: 0, failed: 0 };
  const view = {
    zone: () => zone,
    asker: () => asker,
    internal: () => internal,
    deaf: () => {
      deaf += 1;
    },
  };
  random = new SeededRandom(3);
  // Drawn from 256 ids only, so that they collide.
  const colliding = { u32: () => random.u32() & 0xff, bytes: (n: number) => random.bytes(n) };
  session = new Session({ clock, random: colliding }, sockets, view, counters);
});

const query = (name: string, id = 7) =>
  oracle.encode({ type: "query", id, questions: [{ name, type: "A" }] });

/** A resolver's reply to a relayed packet, changed as told. */
function reply(relayed: Uint8Array, change: Partial<oracle.Packet> = {}): Buffer {
  const asked = oracle.decode(Buffer.from(relayed));
  const name = asked.questions?.[0]?.name ?? "";
  const answers = [{ type: "A", name, ttl: 60, data: "192.0.2.1" }] as oracle.Answer[];
  const base = { type: "response", id: asked.id ?? 0, questions: asked.questions ?? [], answers };
  return oracle.encode({ ...base, ...change } as oracle.Packet);
}

const received = () =>
  sockets.udp.sent.map(({ packet }) => {
    const read = oracle.decode(Buffer.from(packet)) as oracle.DecodedPacket & { rcode: string };
    return `${read.id} ${read.rcode} ${read.answers?.length}`;
  });

function relayedPacket(index = 0): Uint8Array {
  const sent = sockets.upstream.sent[index];
  assert.ok(sent, "something was relayed");
  assert.deepEqual(sent.to, RESOLVER);
  return sent.packet;
}

describe("relaying", () => {
  test("goes out under another id and comes back under the client's, to the client", () => {
    sockets.udp.deliver(query("foreign"), { host: "10.1.1.1", port: 999 });
    const relayed = relayedPacket();
    assert.notEqual(oracle.decode(Buffer.from(relayed)).id, 7);
    sockets.upstream.deliver(reply(relayed), RESOLVER);
    assert.deepEqual(received(), ["7 NOERROR 1"]);
    assert.deepEqual(sockets.udp.sent[0]?.to, { host: "10.1.1.1", port: 999 });
    assert.deepEqual(clock.armed(), [], "no timer is left");
    assert.equal(counters.forwarded, 1);
  });

  const forgeries: [string, (relayed: Uint8Array) => [Uint8Array, typeof RESOLVER]][] = [
    ["another address", (relayed) => [reply(relayed), { ...RESOLVER, host: "127.0.0.12" }]],
    ["another port", (relayed) => [reply(relayed), { ...RESOLVER, port: 5353 }]],
    ["an unknown id", (relayed) => [reply(relayed, { id: 1 }), RESOLVER]],
    ["a query", (relayed) => [reply(relayed, { type: "query" }), RESOLVER]],
    [
      "another name",
      (relayed) => [reply(relayed, { questions: [{ name: "x", type: "A" }] }), RESOLVER],
    ],
    ["no question", (relayed) => [reply(relayed, { questions: [] }), RESOLVER]],
    ["a scrap", (relayed) => [reply(relayed).subarray(0, 11), RESOLVER]],
  ];
  for (const [what, forge] of forgeries) {
    test(`${what} is not believed`, () => {
      sockets.udp.deliver(query("foreign"));
      const relayed = relayedPacket();
      sockets.upstream.deliver(...forge(relayed));
      assert.deepEqual(received(), []);
      sockets.upstream.deliver(reply(relayed), RESOLVER);
      assert.deepEqual(received(), ["7 NOERROR 1"]);
    });
  }

  test("an error without a question is a reply", () => {
    sockets.udp.deliver(query("foreign"));
    sockets.upstream.deliver(
      reply(relayedPacket(), { questions: [], answers: [], flags: 2 }),
      RESOLVER,
    );
    assert.deepEqual(received(), ["7 SERVFAIL 0"]);
  });

  test("a second copy of a reply is not relayed", () => {
    sockets.udp.deliver(query("foreign"));
    const packet = reply(relayedPacket());
    sockets.upstream.deliver(packet, RESOLVER);
    sockets.upstream.deliver(packet, RESOLVER);
    assert.equal(received().length, 1);
  });

  test("silence ends in SERVFAIL, within a second on internal networks", () => {
    sockets.udp.deliver(query("foreign"));
    clock.advance(TIMES.dnsForwardMs - 1);
    assert.deepEqual(received(), []);
    clock.advance(1);
    assert.deepEqual(received(), ["7 SERVFAIL 0"]);
    internal = true;
    sockets.udp.deliver(query("foreign", 8));
    clock.advance(999);
    assert.deepEqual(received()[1], "8 SERVFAIL 0");
    assert.equal(counters.failed, 2);
  });

  test("more than the limit in flight is SERVFAIL at once, with distinct ids below it", () => {
    for (let id = 0; id <= LIMITS.dnsInflightPerSandboxMax; id += 1) {
      sockets.udp.deliver(query("foreign", id));
    }
    assert.equal(received().length, 1);
    const ids = new Set(sockets.upstream.sent.map(({ packet }) => packet.slice(0, 2).join()));
    assert.equal(ids.size, LIMITS.dnsInflightPerSandboxMax);
  });

  test("three silences in a row, and only in a row, mean deaf", () => {
    const silence = () => {
      sockets.udp.deliver(query("foreign"));
      clock.advance(TIMES.dnsForwardMs);
    };
    silence();
    silence();
    sockets.udp.deliver(query("foreign"));
    sockets.upstream.deliver(reply(relayedPacket(2)), RESOLVER);
    silence();
    silence();
    assert.equal(deaf, 0);
    silence();
    assert.equal(deaf, 1);
  });

  test("closing fails what is in flight and closes the sockets", async () => {
    sockets.udp.deliver(query("foreign"));
    await session.close();
    assert.deepEqual(received(), ["7 SERVFAIL 0"]);
    assert.equal(sockets.closed, true);
    assert.deepEqual(clock.armed(), []);
  });
});

describe("TCP", () => {
  const connect = () => {
    const peer = new FakePeer();
    sockets.accept(peer);
    return peer;
  };
  const names = (peer: FakePeer) =>
    peer.written.map((bytes) => {
      const read = oracle.decode(Buffer.from(bytes).subarray(2));
      return `${read.id} ${read.answers?.length}`;
    });

  test("messages in any cut, answered as they are ready", () => {
    const peer = connect();
    const stream = Buffer.concat([query("foreign", 1), query("web", 2)].map((one) => frame(one)));
    for (const byte of stream) peer.deliver(Uint8Array.of(byte));
    assert.deepEqual(names(peer), ["2 1"]);
    sockets.upstream.deliver(reply(relayedPacket()), RESOLVER);
    assert.deepEqual(names(peer), ["2 1", "1 1"]);
    assert.equal(peer.closed, false);
  });

  test("too long, or not a query: the connection ends", () => {
    const long = connect();
    long.deliver(Uint8Array.of(0xff, 0xff));
    assert.equal(long.closed, true);
    const scrap = connect();
    scrap.deliver(frame(Uint8Array.of(1, 2, 3)));
    assert.equal(scrap.closed, true);
    const broken = connect();
    broken.deliver(frame(query("web").subarray(0, 14)));
    assert.equal(broken.written.length, 1, "FORMERR");
    assert.equal(broken.closed, false);
  });

  test("idle clients go, waiting ones stay until they are served", () => {
    const idle = connect();
    clock.advance(TIMES.dnsTcpIdleMs);
    assert.equal(idle.closed, true);
    const waiting = connect();
    clock.advance(1);
    waiting.deliver(frame(query("foreign")));
    clock.advance(TIMES.dnsForwardMs);
    assert.equal(waiting.written.length, 1);
    clock.advance(TIMES.dnsTcpIdleMs);
    assert.equal(waiting.closed, true);
    assert.deepEqual(clock.armed(), []);
  });

  test("connections are bounded and places come free again", () => {
    const peers = Array.from({ length: LIMITS.dnsTcpConnectionsMax }, connect);
    assert.equal(connect().closed, true);
    peers[0]?.close();
    assert.equal(connect().closed, false);
  });

  test("a client that left gets nothing", () => {
    const peer = connect();
    peer.deliver(frame(query("foreign")));
    peer.close();
    sockets.upstream.deliver(reply(relayedPacket()), RESOLVER);
    assert.deepEqual(peer.written, []);
  });

  test("closing the session closes its clients", async () => {
    const peer = connect();
    await session.close();
    assert.equal(peer.closed, true);
  });
});
