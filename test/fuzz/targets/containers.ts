/** What containers, resolvers and DNS clients send. */
import assert from "node:assert/strict";
import { answer } from "../../../dns/answer.ts";
import { parseQuery, type Query, recordSpans } from "../../../dns/codec.ts";
import { offerLargeReplies, withoutEdns } from "../../../dns/edns.ts";
import { Forwarder } from "../../../dns/forwarder.ts";
import { Deframer, frame } from "../../../dns/framing.ts";
import { encodeError } from "../../../dns/reply.ts";
import { Zone } from "../../../dns/zone.ts";
import { LIMITS } from "../../../mesh/index.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { FakeDoor } from "../../unit/dns/fake-sandbox.ts";
import { mutated } from "../mutate.ts";
import type { Target } from "../target.ts";

const name = (text: string): Buffer =>
  Buffer.concat([
    ...text.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);

function message(text: string, type: number, edns: boolean, answers = 0): Buffer {
  const head = Buffer.from("abcd01000001000000000000", "hex");
  head.writeUInt16BE(answers, 6);
  if (answers > 0) head.writeUInt16BE(0x8180, 2);
  head[11] = edns ? 1 : 0;
  const answer = Buffer.from("c00c000100010000000500040a200005", "hex");
  return Buffer.concat([
    ...[head, name(text), Buffer.of(0, type, 0, 1)],
    ...Array.from({ length: answers }, () => answer),
    edns ? Buffer.from("0000291000000080000000", "hex") : Buffer.alloc(0),
  ]);
}

const QUERIES = [
  message("web", 1, false),
  message("WEB.tsweave", 28, true),
  message("web.weave.local", 255, true),
  message("5.0.32.10.in-addr.arpa", 12, true),
  message("example.org", 1, false, 3),
  message("example.org", 16, true, 20),
  message("_80._tcp.web", 33, true),
  message("web.weave.local", 33, false),
  message("weave.local", 6, false),
];
/** Whose replies are among them. */
const RELAYED = [message("example.org", 1, false), message("example.org", 16, true)];
const records = Array.from({ length: 60 }, (_, at) => ({
  network: "tsweave",
  names: [at === 0 ? "www" : "web"],
  ip: `10.32.0.${at + 1}`,
  peer: "a".repeat(32),
  endpointId: `e${at}`,
  ports: [{ protocol: "tcp", port: 80 }],
  isDoubtful: at % 3 === 0,
}));
const outside = { network: "*", names: ["db.example"], ip: "192.0.2.7", peer: "p", endpointId: "" };
const zone = new Zone(
  [...records, outside],
  [{ network: "tsweave", cidr: "10.32.0.0/16" }],
  "weave.local",
);
const asker = { networks: new Set(["tsweave"]), links: new Set(["db"]) };

function answering(bytes: Uint8Array): string | undefined {
  const random = new SeededRandom(1);
  const outcome = answer(bytes, "udp", asker, zone, random);
  if (outcome.kind === "drop") return "dropped";
  if (outcome.kind === "forward") {
    const { query } = outcome;
    assert.equal(parseQuery(offerLargeReplies(query)).kind, "query", "the forwarded query");
    assert.ok(encodeError(query, 2).length <= bytes.length + 11);
    return undefined;
  }
  assert.ok(outcome.bytes.length <= LIMITS.dnsMessageBytesMax, "a reply that is too long");
  if (outcome.kind === "reply") readable(outcome.bytes, bytes);
  return outcome.kind === "rejected" ? "rejected" : undefined;
}

/** A reply of the zone: the client's question, and whole records behind it. */
function readable(reply: Uint8Array, asked: Uint8Array): void {
  const parsed = parseQuery(asked);
  assert.ok(parsed.kind === "query");
  const { query } = parsed;
  assert.ok(reply.length <= Math.max(512, query.edns?.udpBytesMax ?? 512), "the client's size");
  assert.deepEqual(Buffer.from(reply.subarray(12, query.questionEnd)), question(query));
  const spans = recordSpans(reply, query.questionEnd);
  assert.equal(spans?.at(-1)?.end ?? query.questionEnd, reply.length, "records to the last byte");
}

const question = ({ packet, questionEnd }: Query): Buffer =>
  Buffer.from(packet.subarray(12, questionEnd));

/** Whatever a resolver sends, each of two clients gets one reply, and it is his. */
function relaying(bytes: Uint8Array): string | undefined {
  const clock = new VirtualClock();
  const upstream = new FakeDoor();
  const options = { timeoutMs: () => 1000, onDeaf: () => undefined };
  const forwarder = new Forwarder({ clock, random: new SeededRandom(1), upstream }, options);
  const got: { fate: string; reply: Uint8Array }[] = [];
  const [first, second] = RELAYED.map(parseQuery);
  assert.ok(first?.kind === "query" && second?.kind === "query");
  const queries = [first.query, second.query];
  const transports = ["udp", "tcp"] as const;
  for (const [at, query] of queries.entries()) {
    forwarder.ask(query, transports[at] ?? "udp", (reply, fate) => got.push({ fate, reply }));
  }
  for (const { packet } of [...upstream.sent]) {
    const reply = Uint8Array.from(bytes);
    if (reply.length >= 2) reply.set(packet.subarray(0, 2));
    upstream.deliver(reply, { host: "127.0.0.11", port: 53 });
  }
  const relayed = got.length;
  clock.advance(1000);
  assert.equal(got.length, 2, "one reply each");
  assert.ok(
    got.every(({ reply }) => reply[0] === 0xab && reply[1] === 0xcd),
    "under its id",
  );
  // What was kept is given out again as it came.
  for (const query of queries) forwarder.ask(query, "udp", () => undefined);
  forwarder.close();
  assert.deepEqual(clock.armed(), [], "no timer is left");
  return relayed === 0 ? "not believed" : undefined;
}

/** A resolver's reply to a query that was forwarded. */
function stripping(bytes: Uint8Array): string | undefined {
  const parsed = parseQuery(QUERIES[0] ?? bytes);
  assert.equal(parsed.kind, "query");
  if (parsed.kind !== "query") return undefined;
  const stripped = withoutEdns(bytes, parsed.query);
  if (stripped === undefined) return "unreadable";
  assert.ok(stripped.length <= bytes.length);
  return undefined;
}

/** The same bytes whole and in pieces give the same messages. */
function deframing(bytes: Uint8Array): string | undefined {
  const whole = new Deframer().feed(bytes);
  const pieces = new Deframer();
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 7) {
    const messages = pieces.feed(bytes.subarray(at, at + 7));
    if (messages === undefined) return "too long";
    found.push(...messages);
  }
  assert.deepEqual(found.map(Buffer.from), whole?.map(Buffer.from));
  return undefined;
}

const target = (name: string, run: (bytes: Uint8Array) => string | undefined): Target => ({
  name,
  weight: 1,
  make: (random) => mutated(random, name === "dns-stream" ? QUERIES.map(frame) : QUERIES),
  open: () => ({ run }),
});

export const containerTargets: readonly Target[] = [
  target("dns-query", answering),
  target("dns-reply", stripping),
  target("dns-relay", relaying),
  target("dns-stream", deframing),
];
