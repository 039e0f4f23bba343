/**
 * The bytes of what the native engine sends, as golden.test.ts does for the others: its short
 * packets with and without news, its full ones, and the tags that follow from two lives.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPort } from "../../../mesh/index.ts";
import { Post } from "../../../mesh/membership/native/post.ts";
import { Rumours } from "../../../mesh/membership/native/rumours.ts";
import { decodeShort, isShort } from "../../../mesh/membership/native/short.ts";
import { Tags } from "../../../mesh/membership/native/tags.ts";
import { decodePacketOf, encodeMessage } from "../../../mesh/membership/packet.ts";
import { lifeOf, type PeerRecord } from "../../../mesh/membership/record.ts";
import { Roster } from "../../../mesh/membership/roster.ts";
import { golden, same, type Vectors } from "../../lib/golden.ts";

function record(digit: string): PeerRecord {
  const host = `192.168.48.${Number.parseInt(digit, 16)}`;
  const advertise = { host, port: 6783 };
  const meta = { id: digit.repeat(32), name: `host-${digit}`, incarnation: 1_790_000_000 };
  return { meta: { ...meta, advertise }, era: 0, boot: 7, state: "alive", refutation: 2 };
}

test("golden bytes of the native engine", () => {
  const [self, peer, other] = [record("a"), record("b"), record("c")];
  const sent: Uint8Array[] = [];
  const datagrams = {
    local: self.meta.advertise,
    send: (_to: HostPort, packet: Uint8Array) => void sent.push(Uint8Array.from(packet)),
    onPacket: () => () => undefined,
    close: async () => undefined,
  };
  const roster = new Roster(self.meta, 0);
  const tags = new Tags(self.meta.id, lifeOf(self));
  const theirs = new Tags(peer.meta.id, lifeOf(peer));
  for (const known of [peer, other]) {
    roster.observe(known, 0);
    tags.observe(known);
  }
  theirs.observe(self);
  theirs.observe(other);
  const rumours = new Rumours();
  const post = new Post({ datagrams, roster, tags, rumours, self: () => self });
  const { advertise, id } = peer.meta;
  post.ping(peer, 0xfedc);
  post.state = () => Buffer.from("01020304aabbccdd", "hex");
  post.answer("ack", advertise, id, 1);
  post.answer("nack", advertise, id, 2);
  post.askRelay(peer, 3, other, 160);
  post.ping({ ...peer, state: "suspect" }, 4);
  rumours.replace(other.meta.id, encodeMessage({ type: "update", record: other }), 1);
  post.answer("ack", advertise, id, 5);
  post.send(advertise, id, [encodeMessage({ type: "update", record: other })]);
  post.send(advertise, null, [encodeMessage({ type: "list", want: true })]);
  const labels = ["ping", "ack", "nack", "pingReq", "ping of a suspect", "ack with news"];
  labels.push("update to one peer", "list to whoever is there");
  const made: Vectors = Object.fromEntries(
    labels.map((label, at) => [label, sent[at] ?? Buffer.alloc(0)]),
  );
  same("native", made);
  const stored = golden("native", made);
  const read = (label: string) => decodeShort(stored[label] ?? Buffer.alloc(0));
  assert.equal(theirs.speaker(read("ping").short.pair), self.meta.id);
  const { destination, patienceMs } = read("pingReq").short;
  assert.equal(theirs.speaker(destination ?? 0), other.meta.id);
  assert.equal(patienceMs, 160);
  assert.deepEqual(read("ack with news").messages, [{ type: "update", record: other }]);
  const whole = stored["update to one peer"] ?? Buffer.alloc(0);
  assert.ok(!isShort(whole));
  assert.equal(decodePacketOf("native", whole).header.target, id);
});
