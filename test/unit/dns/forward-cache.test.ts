/** Which replies of Docker's resolver are kept, and for whom. */
import assert from "node:assert/strict";
import { test } from "node:test";
import oracle from "dns-packet";
import { parseQuery, type Query } from "../../../dns/codec.ts";
import { ForwardCache } from "../../../dns/forward-cache.ts";
import { LIMITS } from "../../../mesh/index.ts";

interface Asked {
  readonly type?: string;
  readonly flags?: number;
  readonly opt?: object;
}

function query(name: string, { type = "A", flags = 0x100, opt }: Asked = {}): Query {
  const additionals =
    opt === undefined
      ? []
      : [{ type: "OPT", name: ".", udpPayloadSize: 1232, options: [], ...opt }];
  const packet = { type: "query", id: 1, flags, questions: [{ name, type }], additionals };
  const parsed = parseQuery(oracle.encode(packet as unknown as oracle.Packet));
  return parsed.kind === "query" ? parsed.query : assert.fail();
}

function reply(name: string, ttls: readonly number[], change: object = {}): Uint8Array {
  const questions = [{ name, type: "A" }];
  const answers = ttls.map((ttl) => ({ type: "A", name, ttl, data: "192.0.2.1" }));
  const packet = { type: "response", id: 1, flags: 0x180, questions, answers, ...change };
  return oracle.encode(packet as unknown as oracle.Packet);
}

/** For how many milliseconds a reply is kept. */
function keptMs(name: string, answered: Uint8Array, asked: Asked = {}): number {
  const cache = new ForwardCache();
  cache.put(query(name, asked), answered, 0);
  const marks = [0, 999, 1999, 4999, 5000, 600_000];
  const found = marks.filter((ms) => cache.get(query(name, asked), 4096, ms) !== undefined);
  return found.at(-1) ?? -1;
}

const soa = {
  ...{ type: "SOA", name: "example.org", ttl: 60 },
  data: { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 60 },
};
const name = "www.example.org";
const cases: [string, number, number][] = [
  ["an hour", keptMs(name, reply(name, [3600])), 4999],
  ["two seconds", keptMs(name, reply(name, [2])), 1999],
  ["the shortest of several", keptMs(name, reply(name, [300, 1])), 999],
  ["a time to live of 0", keptMs(name, reply(name, [0])), -1],
  ["one with the sign bit", keptMs(name, reply(name, [0x80000001])), -1],
  ["Docker's own", keptMs(name, reply(name, [600])), -1],
  ["a name of one label", keptMs("web", reply("web", [300])), -1],
  ["no such name", keptMs(name, reply(name, [], { flags: 0x183, authorities: [soa] })), -1],
  ["no such record", keptMs(name, reply(name, [], { authorities: [soa] })), -1],
  ["SERVFAIL", keptMs(name, reply(name, [300], { flags: 0x182 })), -1],
  ["truncated", keptMs(name, reply(name, [300], { flags: 0x380 })), -1],
  ["too large", keptMs(name, reply(name, Array(80).fill(300))), -1],
  [
    "a question with a cookie",
    keptMs(name, reply(name, [300]), {
      opt: { options: [{ code: 10, data: Buffer.alloc(8) }] },
    }),
    -1,
  ],
];
for (const [what, found, wanted] of cases) {
  test(`${what}: ${wanted < 0 ? "not kept" : `${wanted} ms`}`, () => assert.equal(found, wanted));
}

test("another type, flag or EDNS is another question, another spelling is not", () => {
  const cache = new ForwardCache();
  cache.put(query(name), reply(name, [300]), 0);
  const isKept = (asked: Query, bytesMax = 512) => cache.get(asked, bytesMax, 1) !== undefined;
  assert.equal(isKept(query("WWW.example.ORG")), true);
  assert.equal(isKept(query(name, { type: "AAAA" })), false);
  assert.equal(isKept(query(name, { flags: 0 })), false);
  assert.equal(isKept(query(name, { flags: 0x110 })), false);
  assert.equal(isKept(query(name, { opt: {} })), false);
  assert.equal(isKept(query(name), 40), false, "a client that takes less");
});

test("a bounded number is kept, the newest", () => {
  const cache = new ForwardCache();
  const names = Array.from({ length: LIMITS.dnsCacheEntriesMax + 5 }, (_, at) => `h${at}.org`);
  for (const one of names) cache.put(query(one), reply(one, [300]), 0);
  const kept = names.filter((one) => cache.get(query(one), 512, 1) !== undefined);
  assert.deepEqual(kept, names.slice(5));
});
