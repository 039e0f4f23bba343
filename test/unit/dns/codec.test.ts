/** The codec against dns-packet as oracle, both ways, and against broken bytes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import oracle from "dns-packet";
import { answer } from "../../../dns/answer.ts";
import { parseQuery, type Query, u16 } from "../../../dns/codec.ts";
import { offerLargeReplies, withoutEdns } from "../../../dns/edns.ts";
import { type Answer, encodeError, encodeReply } from "../../../dns/reply.ts";
import { Zone } from "../../../dns/zone.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

interface Wanted {
  readonly name?: string;
  readonly type?: string;
  readonly flags?: number;
  readonly opt?: { udpPayloadSize: number; ednsVersion?: number; flags?: number };
}

function query({ name = "web", type = "A", flags = 0x0100, opt }: Wanted = {}): Buffer {
  const additionals = opt === undefined ? [] : [{ type: "OPT", name: ".", options: [], ...opt }];
  const packet = { type: "query", id: 4711, flags, questions: [{ name, type }], additionals };
  return oracle.encode(packet as unknown as oracle.Packet);
}

function parsed(packet: Uint8Array): Query {
  const result = parseQuery(packet);
  assert.equal(result.kind, "query");
  return result.kind === "query" ? result.query : assert.fail();
}

/** The rcode of the error reply, or what happened instead. */
function rcodeOf(packet: Uint8Array): number | string {
  const result = parseQuery(packet);
  return result.kind === "rejected" ? (result.reply[3] ?? 0) & 0xf : result.kind;
}

const addresses = (count: number): Answer[] =>
  Array.from({ length: count }, (_, index) => ({ type: "A", address: 0x0a200000 + index }));

const decode = (packet: Uint8Array) =>
  oracle.decode(Buffer.from(packet)) as oracle.DecodedPacket & { readonly rcode: string };

describe("reading", () => {
  test("what the oracle writes", () => {
    const read = parsed(query({ name: "Web.TsWeave", type: "AAAA" }));
    assert.deepEqual(
      [read.id, read.labels, read.key, read.type, read.class, read.edns],
      [4711, ["Web", "TsWeave"], "web.tsweave", 28, 1, undefined],
    );
  });

  test("EDNS: size with a floor of 512, the DO bit", () => {
    assert.equal(parsed(query({ opt: { udpPayloadSize: 1232 } })).edns?.udpBytesMax, 1232);
    assert.equal(parsed(query({ opt: { udpPayloadSize: 100 } })).edns?.udpBytesMax, 512);
    const dnssec = query({ opt: { udpPayloadSize: 1232, flags: oracle.DNSSEC_OK } });
    assert.equal(parsed(dnssec).edns?.dnssecOk, true);
  });

  const patch = (at: number, ...bytes: number[]) => {
    const packet = query();
    packet.set(bytes, at);
    return packet;
  };
  const withOpt = query({ opt: { udpPayloadSize: 1232 } });
  const cases: [string, Uint8Array, number | string][] = [
    ["nothing", Buffer.alloc(0), "dropped"],
    ["eleven bytes", query().subarray(0, 11), "dropped"],
    ["a reply", patch(2, 0x81), "dropped"],
    ["another opcode", patch(2, 0x28), 4],
    ["no question", patch(4, 0, 0), 1],
    ["two questions", patch(4, 0, 2), 1],
    ["65535 questions in 12 bytes", patch(4, 255, 255).subarray(0, 12), 1],
    ["a pointer as question", patch(12, 0xc0, 12), 1],
    ["a question cut off", query().subarray(0, 15), 1],
    ["a question without type", query().subarray(0, 18), 1],
    ["records that are not there", patch(6, 255, 255), 1],
    ["an OPT cut off", withOpt.subarray(0, withOpt.length - 1), 1],
    ["trailing bytes", Buffer.concat([query(), Buffer.from("junk")]), "query"],
  ];
  for (const [what, packet, outcome] of cases) {
    test(`${what}: ${outcome}`, () => assert.equal(rcodeOf(packet), outcome));
  }

  test("two OPT records and an OPT with an owner are FORMERR", () => {
    const opt = withOpt.subarray(query().length);
    const two = Buffer.concat([withOpt, opt]);
    two.writeUInt16BE(2, 10);
    assert.equal(rcodeOf(two), 1);
    const owned = Buffer.concat([query(), Buffer.from([1, 97]), opt]);
    owned.writeUInt16BE(1, 10);
    assert.equal(rcodeOf(owned), 1);
  });

  test("a future EDNS version gets BADVERS", () => {
    const result = parseQuery(query({ opt: { udpPayloadSize: 1232, ednsVersion: 1 } }));
    assert.equal(result.kind, "rejected");
    if (result.kind !== "rejected") return;
    const [opt] = decode(result.reply).additionals ?? [];
    assert.equal(opt?.type === "OPT" && opt.extendedRcode, 1);
    assert.equal(u16(result.reply, 0), 4711);
  });
});

const APEX = { ...new Zone([], [], "tsweave.local").apex, serial: 42 };
const TERMS = { ttlSeconds: 5, apex: APEX };

describe("writing", () => {
  const reply = (answers: readonly Answer[]) => ({ rcode: 0, answers });

  test("what the oracle reads, question and case as sent", () => {
    const bytes = encodeReply(
      parsed(query({ name: "wEb.Tsweave" })),
      reply(addresses(2)),
      512,
      TERMS,
    );
    const read = decode(bytes);
    assert.equal(read.id, 4711);
    assert.equal(read.questions?.[0]?.name, "wEb.Tsweave");
    assert.deepEqual(
      read.answers?.map((one) => one.type === "A" && [one.name, one.ttl, one.data]),
      [
        ["wEb.Tsweave", 5, "10.32.0.0"],
        ["wEb.Tsweave", 5, "10.32.0.1"],
      ],
    );
    assert.deepEqual(
      [read.flag_qr, read.flag_aa, read.flag_rd, read.flag_ra],
      [true, true, true, true],
    );
    assert.equal(bytes.length, 12 + 17 + 2 * 16, "sixteen bytes an address: names are compressed");
  });

  test("PTR data is written out, its owner is a pointer", () => {
    const asked = parsed(query({ name: "2.0.32.10.in-addr.arpa", type: "PTR" }));
    const answers: Answer[] = [
      { type: "PTR", target: ["web", "tsweave"] },
      { type: "PTR", target: ["www", "tsweave"] },
      { type: "PTR", target: ["odd", "in-addr", "arpa"] },
    ];
    const bytes = encodeReply(asked, reply(answers), 512, TERMS);
    const names = decode(bytes).answers?.map((one) => one.type === "PTR" && one.data);
    assert.deepEqual(names, ["web.tsweave", "www.tsweave", "odd.in-addr.arpa"]);
    assert.equal(bytes.length, 12 + 28 + (12 + 13) + (12 + 13) + (12 + 18));
  });

  test("what does not fit is left out, and the truncation bit says so", () => {
    const sizes: [Wanted, number, number][] = [
      [{}, 512, 30],
      [{ opt: { udpPayloadSize: 1232 } }, 1232, 75],
    ];
    for (const [wanted, bytesMax, count] of sizes) {
      const bytes = encodeReply(parsed(query(wanted)), reply(addresses(300)), bytesMax, TERMS);
      const read = decode(bytes);
      assert.ok(bytes.length <= bytesMax && bytes.length > bytesMax - 16);
      assert.equal(read.answers?.length, count);
      assert.equal(read.flag_tc, true);
      assert.equal(read.additionals?.length, wanted.opt === undefined ? 0 : 1);
    }
    const tcp = encodeReply(parsed(query()), reply(addresses(5000)), 65_535, TERMS);
    assert.equal(decode(tcp).answers?.length, 4094);
  });

  test("an SOA stands below the name's own part, in the authority section", () => {
    const asked = parsed(query({ name: "Web.tsweave.local", type: "AAAA" }));
    const bytes = encodeReply(asked, { rcode: 0, answers: [], soaDepth: 1 }, 512, TERMS);
    const [soa] = decode(bytes).authorities ?? [];
    assert.ok(soa?.type === "SOA");
    assert.deepEqual([soa.name, soa.ttl], ["tsweave.local", 5]);
    assert.deepEqual(soa.data, {
      mname: "ns.tsweave.local",
      rname: "hostmaster.tsweave.local",
      serial: 42,
      ...{ refresh: 60, retry: 60, expire: 3600, minimum: 5 },
    });
    const short = encodeReply(asked, { rcode: 0, answers: [], soaDepth: 1 }, 60, TERMS);
    assert.deepEqual([decode(short).authorities, decode(short).flag_tc], [[], false]);
  });

  test("SRV with the addresses of its targets, as many as fit", () => {
    const asked = parsed(query({ name: "_80._tcp.web", type: "SRV" }));
    const targets = Array.from({ length: 9 }, (_, at) => [`c0ffee00000${at}`, "tsweave"]);
    const services = targets.map((target): Answer => ({ type: "SRV", port: 80, target }));
    const beside = targets.map((owner, at) => ({ owner, address: 0x0a200000 + at }));
    const whole = { rcode: 0, answers: services, addresses: beside };
    const read = decode(encodeReply(asked, whole, 4096, TERMS));
    const [first] = read.answers ?? [];
    assert.deepEqual(first?.type === "SRV" && first.data, {
      ...{ priority: 0, weight: 1, port: 80 },
      target: "c0ffee000000.tsweave",
    });
    const [address] = read.additionals ?? [];
    assert.ok(address?.type === "A");
    assert.deepEqual([address.name, address.data], ["c0ffee000000.tsweave", "10.32.0.0"]);
    assert.deepEqual([read.answers?.length, read.additionals?.length], [9, 9]);
    const cut = decode(encodeReply(asked, whole, 512, TERMS));
    assert.deepEqual([cut.answers?.length, cut.flag_tc], [9, false]);
    assert.ok((cut.additionals?.length ?? 9) < 9, "addresses are left out without a word");
  });

  test("an error echoes the question and EDNS", () => {
    const read = decode(encodeError(parsed(query({ opt: { udpPayloadSize: 1232 } })), 2));
    assert.deepEqual([read.rcode, read.questions?.[0]?.name], ["SERVFAIL", "web"]);
    assert.equal(read.additionals?.[0]?.type, "OPT");
  });
});

describe("EDNS on behalf of a TCP client", () => {
  test("is added, or raised, in a copy", () => {
    for (const wanted of [{}, { opt: { udpPayloadSize: 512 } }]) {
      const asked = parsed(query(wanted));
      const before = Buffer.from(asked.packet);
      const read = decode(offerLargeReplies(asked));
      assert.equal(read.additionals?.length, 1);
      const [opt] = read.additionals ?? [];
      assert.equal(opt?.type === "OPT" && opt.udpPayloadSize, 4096);
      assert.deepEqual(Buffer.from(asked.packet), before);
    }
  });

  test("is taken out of the reply", () => {
    const asked = parsed(query({ opt: { udpPayloadSize: 4096 } }));
    const reply = encodeReply(asked, { rcode: 0, answers: addresses(1) }, 4096, TERMS);
    const stripped = withoutEdns(reply, asked);
    assert.ok(stripped);
    assert.equal(decode(stripped).additionals?.length, 0);
    assert.equal(stripped.length, reply.length - 11);
    assert.equal(withoutEdns(reply.subarray(0, reply.length - 1), asked), undefined);
  });
});

test("20 000 mutated packets never throw, and every reply is a message", () => {
  const random = new SeededRandom(20_251_121);
  const record = { network: "n", names: ["web"], ip: "10.32.0.2", peer: "", endpointId: "" };
  const zone = new Zone([record], [{ network: "n", cidr: "10.32.0.0/12" }], "tsweave.local");
  const asker = { networks: new Set(["n"]), links: new Set<string>() };
  const seeds = [
    query(),
    query({ name: "web.tsweave.local", opt: { udpPayloadSize: 1232 } }),
    query({ name: "2.0.32.10.in-addr.arpa", type: "PTR" }),
    query({ name: "a.b.c.d.e.f.example", type: "SRV" }),
  ];
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 20_000; round += 1) {
    const packet = mutate(seeds[random.below(seeds.length)] ?? query(), random);
    const outcome = answer(packet, random.chance(0.5) ? "udp" : "tcp", asker, zone, random);
    outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1);
    if (outcome.kind === "forward") {
      const carried = parseQuery(offerLargeReplies(outcome.query));
      assert.equal(carried.kind === "query" && carried.query.edns?.udpBytesMax, 4096);
      withoutEdns(mutate(packet, random), outcome.query);
      decode(encodeError(outcome.query, 2));
    } else if (outcome.kind !== "drop") {
      assert.equal(decode(outcome.bytes).type, "response");
      assert.equal(u16(outcome.bytes, 0), u16(packet, 0));
    }
  }
  for (const kind of ["drop", "rejected", "reply", "forward"]) {
    assert.ok((outcomes.get(kind) ?? 0) > 100, `${kind}: ${outcomes.get(kind)}`);
  }
});

/** Flips, cuts, grows or splices; one time in eight all noise. */
function mutate(seed: Uint8Array, random: SeededRandom): Uint8Array {
  if (random.chance(1 / 8)) return random.bytes(random.below(600));
  let packet = Uint8Array.from(seed);
  for (let count = random.below(4); count > 0; count -= 1) {
    const at = random.below(packet.length + 1);
    if (random.chance(0.6)) packet[at] = random.u32() & 0xff;
    else if (random.chance(0.5)) packet = packet.slice(0, at);
    else packet = Uint8Array.from([...packet.slice(0, at), ...random.bytes(random.below(20))]);
  }
  return packet;
}
