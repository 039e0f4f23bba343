/** A sandbox at work: relaying with its checks, limits and timeouts, and TCP clients. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import oracle from "dns-packet";
import { Forwarder } from "../../../dns/forwarder.ts";
import { frame } from "../../../dns/framing.ts";
import { type DnsCounters, noQueries, Session } from "../../../dns/session.ts";
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
let counters: DnsCounters;

beforeEach(() => {
  clock = new VirtualClock();
  sockets = new FakeSockets();
  internal = false;
  deaf = 0;
  counters = noQueries();
  random = new SeededRandom(3);
  // Drawn from 256 ids only, so that they collide.
  const colliding = { u32: () => random.u32() & 0xff, bytes: (n: number) => random.bytes(n) };
  const elsewhere = new Forwarder(
    { clock, random: colliding, upstream: sockets.upstream },
    {
      timeoutMs: () => (internal ? TIMES.dnsForwardInternalMs : TIMES.dnsForwardMs),
      onDeaf: () => {
        deaf += 1;
      },
    },
  );
  const view = { zone, asker: () => asker };
  session = new Session({ clock, random: colliding, elsewhere }, sockets, view, counters);
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

  test("2000 at once are all answered, few sent at a time, each under its own id", () => {
    const names = Array.from({ length: LIMITS.dnsInflightPerSandboxMax }, (_, at) => `x${at}.org`);
    for (const [id, name] of names.entries()) sockets.udp.deliver(query(name, id));
    sockets.udp.deliver(query("one.more", 65_000));
    assert.deepEqual(received(), ["65000 SERVFAIL 0"], "who comes on top hears so at once");
    assert.equal(sockets.upstream.sent.length, LIMITS.dnsForwardAtOnceMax);
    const ids = new Set<string>();
    for (let at = 0; at < sockets.upstream.sent.length; at += 1) {
      const packet = relayedPacket(at);
      ids.add(packet.slice(0, 2).join());
      sockets.upstream.deliver(reply(packet), RESOLVER);
    }
    assert.equal(ids.size, names.length);
    assert.equal(received().filter((text) => text.endsWith(" NOERROR 1")).length, names.length);
    assert.deepEqual(clock.armed(), []);
  });

  test("a server that does not answer holds up the others only for a moment", () => {
    const many = LIMITS.dnsForwardAtOnceMax;
    for (let at = 0; at < many; at += 1) sockets.udp.deliver(query(`slow${at}.org`, at));
    sockets.udp.deliver(query("other.network", 999));
    assert.equal(sockets.upstream.sent.length, many);
    clock.advance(TIMES.dnsForwardYoungMs);
    assert.equal(sockets.upstream.sent.length, many + 1);
    sockets.upstream.deliver(reply(relayedPacket(many)), RESOLVER);
    assert.deepEqual(received(), ["999 NOERROR 1"]);
  });

  test("internal: 2000 questions all end within a second", () => {
    internal = true;
    for (let id = 0; id < 2000; id += 1) sockets.udp.deliver(query(`x${id}.org`, id));
    clock.advance(999);
    assert.equal(received().filter((text) => text.endsWith("SERVFAIL 0")).length, 2000);
  });

  test("the same question goes out once and comes back to everyone", () => {
    for (const id of [7, 8, 9]) sockets.udp.deliver(query("foreign.org", id));
    sockets.udp.deliver(query("Foreign.org", 10));
    assert.equal(sockets.upstream.sent.length, 2, "another spelling is another question");
    sockets.upstream.deliver(reply(relayedPacket()), RESOLVER);
    assert.deepEqual(received(), ["7 NOERROR 1", "8 NOERROR 1", "9 NOERROR 1"]);
  });

  test("a resolver that leads back here: no storm, one SERVFAIL", () => {
    sockets.udp.deliver(query("loop.org"));
    for (let round = 0; round < 50; round += 1) {
      const sent = sockets.upstream.sent.at(-1)?.packet ?? query("none");
      sockets.udp.deliver(sent, { host: "127.0.0.1", port: 53_000 });
      clock.advance(100);
    }
    assert.ok(sockets.upstream.sent.length <= 6, `${sockets.upstream.sent.length} sent in 5 s`);
    clock.advance(TIMES.dnsForwardMs);
    assert.equal(received()[0], "7 SERVFAIL 0");
  });

  test("a client that asks again after a second has its question sent again", () => {
    sockets.udp.deliver(query("lost.org"));
    clock.advance(TIMES.dnsForwardAgainMs - 1);
    sockets.udp.deliver(query("lost.org"));
    assert.equal(sockets.upstream.sent.length, 1);
    clock.advance(1);
    sockets.udp.deliver(query("lost.org"));
    assert.equal(sockets.upstream.sent.length, 2);
    sockets.upstream.deliver(reply(relayedPacket(1)), RESOLVER);
    assert.equal(received().length, 3);
  });

  test("a reply is kept for the seconds it allows, no longer than five", () => {
    sockets.udp.deliver(query("kept.org"));
    sockets.upstream.deliver(reply(relayedPacket()), RESOLVER);
    clock.advance(TIMES.dnsCacheMs - 1);
    sockets.udp.deliver(query("KEPT.org", 8));
    assert.equal(sockets.upstream.sent.length, 1);
    const read = oracle.decode(Buffer.from(sockets.udp.sent[1]?.packet ?? []));
    assert.deepEqual([read.id, read.questions?.[0]?.name], [8, "KEPT.org"]);
    assert.equal(read.answers?.[0]?.type === "A" && read.answers[0].ttl, 56, "60 less what passed");
    clock.advance(1);
    sockets.udp.deliver(query("kept.org", 9));
    assert.equal(sockets.upstream.sent.length, 2);
    assert.deepEqual([counters.forwarded, counters.cached], [1, 1]);
  });

  test("more than a sandbox's rate is dropped, and counted", () => {
    const rest = 10;
    for (let count = 0; count < LIMITS.dnsQueriesBurstMax + rest; count += 1) {
      sockets.udp.deliver(query("web"));
    }
    assert.deepEqual([counters.answered, counters.limited], [LIMITS.dnsQueriesBurstMax, rest]);
    clock.advance(1);
    for (let count = 0; count < 2 * LIMITS.dnsQueriesPerSecondMax; count += 1) {
      sockets.udp.deliver(query("web"));
    }
    const perMs = LIMITS.dnsQueriesPerSecondMax / 1000;
    assert.equal(counters.answered, LIMITS.dnsQueriesBurstMax + perMs);
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
