/** What containers, resolvers and DNS clients send. */
import assert from "node:assert/strict";
import { answer } from "../../../dns/answer.ts";
import { parseQuery } from "../../../dns/codec.ts";
import { offerLargeReplies, withoutEdns } from "../../../dns/edns.ts";
import { Deframer, frame } from "../../../dns/framing.ts";
import { encodeError } from "../../../dns/reply.ts";
import { Zone } from "../../../dns/zone.ts";
import { LIMITS } from "../../../mesh/index.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
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
];
const records = Array.from({ length: 60 }, (_, at) => ({
  network: "tsweave",
  names: [at === 0 ? "www" : "web"],
  ip: `10.32.0.${at + 1}`,
  peer: "a".repeat(32),
  endpointId: `e${at}`,
}));
const zone = new Zone(records, [{ network: "tsweave", cidr: "10.32.0.0/16" }], "weave.local");
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
  return outcome.kind === "rejected" ? "rejected" : undefined;
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
  target("dns-stream", deframing),
];
