/**
 * The bytes of every message between peers. A difference here is a change of the wire: read
 * "Changing it" in mesh/README.md first, then run once with UPDATE_GOLDEN=1.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeWire, type HostPort, TsweaveError, type WireValue } from "../../../mesh/index.ts";
import {
  decodePacket,
  encodeMessage,
  encodePackets,
  type Header,
  type Message,
} from "../../../mesh/membership/packet.ts";
import type { PeerRecord } from "../../../mesh/membership/record.ts";
import { StreamRpc } from "../../../mesh/rpc.ts";
import type { Delta } from "../../../mesh/tables/messages.ts";
import {
  encodeTablesMessage,
  markOf,
  readTablesMessage,
  type TablesMessage,
} from "../../../mesh/tables/push.ts";
import { ENVELOPE_BYTES, KINDS, kindOf } from "../../../mesh/wire/envelope.ts";
import { Keyring } from "../../../mesh/wire/keyring.ts";
import { PacketChannels } from "../../../mesh/wire/packet.ts";
import { Seal } from "../../../mesh/wire/seal.ts";
import { openFrame, readHeader, sealFrame, sessionKey } from "../../../mesh/wire/seal-frame.ts";
import { noticeFor, readNotice, Strangers } from "../../../mesh/wire/seal-strangers.ts";
import { golden, same, type Vectors } from "../../lib/golden.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { key } from "./seal-fixture.ts";

const id = (digit: string): string => digit.repeat(32);
const HEADER: Header = {
  sender: id("a"),
  era: 1,
  incarnation: 1_790_000_000,
  boot: 7,
  target: null,
};
const RECORD: PeerRecord = {
  meta: {
    id: id("b"),
    name: "host1",
    incarnation: 1_790_000_001,
    advertise: { host: "192.168.48.11", port: 6783 },
  },
  era: 0,
  boot: 0xfedcba98,
  state: "alive",
  refutation: 3,
};
const V6: PeerRecord = {
  ...RECORD,
  meta: { ...RECORD.meta, advertise: { host: "fd00::1", port: 6784 } },
};

const MESSAGES: Record<string, Message> = {
  ping: { type: "ping", seq: 70_000 },
  ack: { type: "ack", seq: 70_000 },
  nack: { type: "nack", seq: 9 },
  pingReq: { type: "pingReq", seq: 5, destination: id("c") },
  "update alive": { type: "update", record: RECORD },
  "update suspect": { type: "update", record: { ...RECORD, state: "suspect" } },
  "update dead": { type: "update", record: { ...RECORD, state: "dead", era: 2 } },
  "update several addresses": {
    type: "update",
    record: {
      ...RECORD,
      meta: { ...RECORD.meta, hosts: ["192.168.48.11", "10.1.0.11", "fd00::11"] },
    },
  },
  "update left ipv6": { type: "update", record: { ...V6, state: "left" } },
  hello: { type: "hello", record: RECORD, digest: Buffer.alloc(8, 9), want: true },
  "hello with a state": {
    type: "hello",
    record: RECORD,
    digest: Buffer.alloc(8, 9),
    want: false,
    state: Buffer.alloc(8, 7),
  },
  list: { type: "list", want: false },
  "list of buckets": { type: "list", want: true, mask: 0x8000_0001 },
  accuse: {
    type: "accuse",
    record: { ...RECORD, state: "suspect" },
    accuser: id("d"),
    refused: true,
  },
  buckets: { type: "buckets", hashes: Buffer.alloc(128, 4) },
};

const DELTA: Delta = {
  origin: id("e"),
  incarnation: 1_790_000_002,
  from: 4,
  to: 6,
  whole: false,
  rows: [
    { table: "endpoints", key: "e1", seq: 5, bytes: Buffer.from("93a1780102", "hex") },
    { table: "names", key: "n1", seq: 6, bytes: null },
  ],
};
const RANGE = { first: id("3"), last: id("1") };
const TABLES: Record<string, TablesMessage> = {
  push: { type: "push", sender: id("a"), delta: DELTA },
  relay: { type: "relay", sender: id("a"), delta: DELTA, range: RANGE },
  ack: {
    type: "ack",
    sender: id("a"),
    incarnation: 12,
    seq: 345_678,
    origin: markOf(id("f")),
  },
  cover: {
    type: "cover",
    sender: id("a"),
    incarnation: 12,
    seq: 5,
    origin: markOf(id("e")),
    range: RANGE,
    marks: Buffer.alloc(8, 6),
  },
  digest: { type: "digest", sender: id("a"), hash: Buffer.alloc(8, 5) },
  "digest that asks": { type: "digest", sender: id("a"), hash: Buffer.alloc(8, 5), ask: true },
};

describe("golden bytes", () => {
  it("membership: each message alone in a packet, and read back", () => {
    const made: Vectors = {};
    for (const [label, message] of Object.entries(MESSAGES)) {
      const [packet] = encodePackets(HEADER, [encodeMessage(message)]);
      made[label] = packet ?? Buffer.alloc(0);
    }
    const [told] = encodePackets({ ...HEADER, target: id("b") }, []);
    made["to one peer, empty"] = told ?? Buffer.alloc(0);
    same("membership", made);
    for (const [label, message] of Object.entries(MESSAGES)) {
      const packet = decodePacket(golden("membership", made)[label] ?? Buffer.alloc(0));
      assert.deepEqual(packet, { header: HEADER, messages: [message] }, label);
    }
  });

  it("tables: each message, and read back", () => {
    const made: Vectors = {};
    for (const [label, message] of Object.entries(TABLES)) {
      made[label] = encodeTablesMessage(message);
    }
    const whole = { ...DELTA, whole: true, from: 0, floor: 2, hollow: false };
    made["push of a whole log"] = encodeTablesMessage({ ...TABLES.push, delta: whole } as never);
    same("tables", made);
    for (const [label, message] of Object.entries(TABLES)) {
      const bytes = golden("tables", made)[label] ?? Buffer.alloc(0);
      assert.deepEqual(readTablesMessage(decodeWire(bytes)), message, label);
    }
  });

  it("rpc: a question, an answer, a refusal", async () => {
    const made: Vectors = {};
    let serve: ((from: HostPort, frame: Uint8Array) => Promise<Uint8Array>) | undefined;
    const at = { host: "192.168.48.11", port: 6783 };
    const streams = {
      request: async (_to: HostPort, frame: Uint8Array) => {
        made[`question ${Object.keys(made).length / 2}`] = frame;
        const answer = (await serve?.(at, frame)) ?? Buffer.alloc(0);
        made[`answer ${(Object.keys(made).length - 1) / 2}`] = answer;
        return answer;
      },
      probe: async () => "open" as const,
      onRequest: (handle: typeof serve) => {
        serve = handle;
        return () => undefined;
      },
      close: async () => undefined,
    };
    const rpc = new StreamRpc(
      { streams, log: new QuietLog() },
      { self: id("a"), addressOf: () => at },
    );
    rpc.serve("double", async (_from, body) => [body, body]);
    rpc.serve("full", async (): Promise<WireValue> => {
      throw new TsweaveError("NO_ADDRESS", "no space here");
    });
    assert.deepEqual(await rpc.call(id("b"), "double", ["x", 1], 100), [
      ["x", 1],
      ["x", 1],
    ]);
    await assert.rejects(rpc.call(id("b"), "full", null, 100), { code: "NO_ADDRESS" });
    await assert.rejects(rpc.call(id("b"), "none", null, 100), { code: "BAD_REQUEST" });
    same("rpc", made);
  });

  it("the envelope and the seal, with a fixed key, session and counters", () => {
    const clock = new VirtualClock();
    const random = { u32: () => 7, bytes: (count: number) => Buffer.alloc(count, 0x5e) };
    const seal = new Seal({ clock, random }, Keyring.of(key(0x11)));
    const sent: Uint8Array[] = [];
    const local = { host: "192.168.48.11", port: 6783 };
    const log = new QuietLog();
    const datagrams = {
      local,
      send: (_to: HostPort, packet: Uint8Array) => void sent.push(packet),
      onPacket: () => () => undefined,
      close: async () => undefined,
    };
    const strangers = new Strangers(clock, log);
    for (const kind of [undefined, seal]) {
      const channels = new PacketChannels({ datagrams, log, clock, random, strangers, seal: kind });
      channels.channel("membership").send(local, Buffer.from("payload"));
      channels.channel("tables").send(local, Buffer.from("payload"));
    }
    const [plainMembership, plainTables, membership, tables] = sent;
    assert.ok(plainMembership && plainTables && membership && tables);
    const clear = Buffer.alloc(8, 0x70);
    const request = seal.seal("stream", KINDS.request, Buffer.from("question"), { clear });
    const bound = request.subarray(5, 23);
    const made: Vectors = {
      "plain membership": plainMembership,
      "plain tables": plainTables,
      "sealed membership": membership,
      "sealed tables": tables,
      challenge: seal.seal("datagram", KINDS.challenge, Buffer.alloc(20, 1)),
      proof: seal.seal("datagram", KINDS.proof, Buffer.alloc(14, 2)),
      request,
      reply: seal.seal("stream", KINDS.reply, Buffer.from("\0answer"), { bound }),
      "notice: other key": noticeFor(membership, "other-key") ?? Buffer.alloc(0),
      "notice: sealed here": noticeFor(Buffer.alloc(40), "sealed") ?? Buffer.alloc(0),
      "notice: plain here": noticeFor(tables, "plain") ?? Buffer.alloc(0),
      "challenge that answers": seal.seal("datagram", KINDS.challenge, Buffer.alloc(32, 1)),
      "key id": Buffer.from(key(0x11).id, "hex"),
    };
    same("seal", made);
    const stored = golden("seal", made);
    const frame = stored["sealed tables"] ?? Buffer.alloc(0);
    const header = readHeader(frame);
    assert.deepEqual([header?.kind, header?.counter], [KINDS.tables, 1]);
    const derived = sessionKey(key(0x11), Buffer.alloc(12, 0x5e), "datagram");
    assert.equal(Buffer.from(openFrame(derived, 1, frame) ?? []).toString(), "payload");
    assert.deepEqual(sealFrame(derived, header ?? assert.fail(), Buffer.from("payload")), frame);
    assert.equal(kindOf(stored["plain tables"] ?? Buffer.alloc(0)), KINDS.tables);
    assert.equal(stored["plain tables"]?.subarray(ENVELOPE_BYTES).toString(), "payload");
    assert.equal(readNotice(stored["notice: plain here"] ?? Buffer.alloc(0))?.why, "plain");
  });
});
