/** Large zones: ten thousand names, and a thousand records under one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import oracle from "dns-packet";
import { answer } from "../../../dns/answer.ts";
import { Zone } from "../../../dns/zone.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

const NAMES = 10_000;
const CROWD = 1000;
const ipOf = (at: number) => `10.32.${at >> 8}.${at & 255}`;
const record = (at: number, ...names: string[]) => ({
  network: "tsweave",
  names,
  ip: ipOf(at),
  peer: String(at % 100),
  endpointId: `e${at}`,
  ports: [{ protocol: "tcp", port: 80 }],
});
const zone = new Zone(
  Array.from({ length: NAMES }, (_, at) => {
    const own = [`c${at}`, at.toString(16).padStart(12, "0")];
    return record(at, ...own, ...(at < CROWD ? ["crowd"] : []));
  }),
  [{ network: "tsweave", cidr: "10.32.0.0/12" }],
  "tsweave.local",
);
const asker = { networks: new Set(["tsweave"]), links: new Set<string>() };
const random = new SeededRandom(6);

function ask(name: string, type: "A" | "SRV" | "PTR", transport: "udp" | "tcp", bytesMax = 0) {
  const opt = { type: "OPT", name: ".", udpPayloadSize: bytesMax };
  const additionals = bytesMax === 0 ? [] : [opt];
  const questions = [{ name, type }];
  const packet = oracle.encode({ type: "query", id: 1, questions, additionals } as oracle.Packet);
  const outcome = answer(packet, transport, asker, zone, random);
  assert.ok(outcome.kind === "reply", outcome.kind);
  const { bytes } = outcome;
  const { answers = [], flag_tc: truncated } = oracle.decode(Buffer.from(bytes));
  const data = answers.map((one) => ("data" in one ? one.data : undefined));
  return { bytes: bytes.length, truncated, data };
}

test("each of ten thousand names has its own address, both ways", () => {
  for (let at = 0; at < NAMES; at += 1) {
    assert.deepEqual(ask(`c${at}.tsweave`, "A", "udp").data, [ipOf(at)]);
    const reverse = `${ipOf(at).split(".").reverse().join(".")}.in-addr.arpa`;
    assert.deepEqual(ask(reverse, "PTR", "udp").data, [`c${at}.tsweave`]);
  }
});

test("a thousand addresses: a fair sample over UDP, all over TCP", () => {
  const plain = ask("crowd", "A", "udp");
  assert.deepEqual([plain.data.length, plain.truncated], [30, true]);
  assert.ok(plain.bytes <= 512);
  const wide = ask("crowd", "A", "udp", 4096);
  assert.ok(wide.data.length > 250 && wide.truncated && wide.bytes <= 4096);
  const whole = ask("crowd", "A", "tcp");
  assert.equal(new Set(whole.data).size, CROWD);
  assert.equal(whole.truncated, false);
  const seen = new Map<unknown, number>();
  for (let round = 0; round < 1000; round += 1) {
    for (const address of ask("crowd", "A", "udp").data) {
      seen.set(address, (seen.get(address) ?? 0) + 1);
    }
  }
  const counts = [...seen.values()];
  assert.equal(seen.size, CROWD, "every address is given out");
  // Each is expected 30 times; 6 standard deviations are 33.
  assert.ok(Math.max(...counts) < 63, `one was given ${Math.max(...counts)} times`);
});

test("a thousand services: whole over TCP", () => {
  const whole = ask("_80._tcp.crowd", "SRV", "tcp");
  assert.deepEqual([whole.data.length, whole.truncated], [CROWD, false]);
  assert.ok(whole.bytes <= 65_535);
});
