/** Who answers what: our names always here, everything else with Docker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import oracle from "dns-packet";
import { answer } from "../../../dns/answer.ts";
import { Zone } from "../../../dns/zone.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";

const record = (network: string, ip: string, name: string) => ({
  network,
  names: [name],
  ip,
  peer: "",
  endpointId: ip,
});
const crowd = Array.from({ length: 100 }, (_, index) =>
  record("tsweave", `10.33.0.${index}`, "crowd"),
);
const tcp = (port: number) => ({ protocol: "tcp", port });
const udp = (port: number) => ({ protocol: "udp", port });
const zone = new Zone(
  [
    record("tsweave", "10.32.0.2", "web"),
    record("tsweave", "10.32.0.3", "linked"),
    record("back", "10.34.0.2", "hidden"),
    { ...record("tsweave", "10.32.0.4", "shop"), ports: [tcp(80), tcp(443), udp(53)] },
    {
      ...record("tsweave", "10.40.0.4", "shop"),
      names: ["shop", "C0FFEE000001"],
      ports: [tcp(80)],
    },
    record("*", "192.0.2.7", "printer"),
    ...crowd,
  ],
  [{ network: "tsweave", cidr: "10.32.0.0/12" }],
  "tsweave.local",
);
const asker = { networks: new Set(["tsweave"]), links: new Set(["linked"]) };
const random = new SeededRandom(1);

/** The data of one record; an SRV's without its priority and weight. */
function dataOf(one: oracle.Answer): string {
  if (one.type === "SRV") return `${one.data.target}:${one.data.port}`;
  if (one.type === "SOA") return `SOA ${one.data.mname}`;
  return "data" in one ? String(one.data) : "";
}

type Options = { klass?: string; udpPayloadSize?: number; transport?: "udp" | "tcp" };

/** `forward`, or rcode and answers of the reply. */
function ask(name: string, type = "A", options: Options = {}): string {
  const additionals = options.udpPayloadSize && [
    { type: "OPT", name: ".", udpPayloadSize: options.udpPayloadSize },
  ];
  const questions = [{ name, type, class: options.klass ?? "IN" }];
  const packet = oracle.encode({ type: "query", id: 1, questions, additionals } as oracle.Packet);
  const outcome = answer(packet, options.transport ?? "udp", asker, zone, random);
  if (outcome.kind !== "reply") return outcome.kind;
  const read = oracle.decode(Buffer.from(outcome.bytes));
  const data = read.answers?.map(dataOf) ?? [];
  const isNegative = data.length === 0;
  assert.equal(read.authorities?.length, isNegative ? 1 : 0, "an SOA with what does not exist");
  assert.equal(read.flag_tc, name === "crowd" && data.length < 100);
  return [(read as { rcode?: string }).rcode, ...data.toSorted()].join(" ");
}

/** The first address as sent. */
function firstOf(name: string): string {
  const packet = oracle.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] });
  const outcome = answer(packet, "udp", asker, zone, random);
  assert.equal(outcome.kind, "reply");
  const bytes = outcome.kind === "reply" ? outcome.bytes : packet;
  const [first] = oracle.decode(Buffer.from(bytes)).answers ?? [];
  return first === undefined ? "" : dataOf(first);
}

const cases: [string, string, string][] = [
  ["web", "A", "NOERROR 10.32.0.2"],
  ["WeB.TSWEAVE", "A", "NOERROR 10.32.0.2"],
  ["web.tsweave.local", "A", "NOERROR 10.32.0.2"],
  ["web", "ANY", "NOERROR 10.32.0.2"],
  ["web", "AAAA", "NOERROR"],
  ["web", "MX", "NOERROR"],
  ["web", "TXT", "NOERROR"],
  ["web", "SRV", "NOERROR"],
  ["_http._tcp.web", "SRV", "forward"],
  ["_80._tcp.web", "SRV", "NXDOMAIN"],
  ["_80._tcp.shop", "SRV", "NOERROR c0ffee000001.tsweave:80 shop.tsweave:80"],
  ["_80._TCP.Shop.tsweave.local", "SRV", "NOERROR c0ffee000001.tsweave:80 shop.tsweave:80"],
  ["_53._udp.shop.tsweave", "SRV", "NOERROR shop.tsweave:53"],
  ["_53._tcp.shop", "SRV", "NXDOMAIN"],
  ["_080._tcp.shop", "SRV", "forward"],
  ["_80._tcp.shop", "A", "NOERROR"],
  ["_80._tcp.linked", "SRV", "forward"],
  ["_80._tcp.hidden", "SRV", "forward"],
  [
    "shop",
    "SRV",
    "NOERROR c0ffee000001.tsweave:80 shop.tsweave:443 shop.tsweave:53 shop.tsweave:80",
  ],
  ["web", "SOA", "NOERROR"],
  ["tsweave.local", "SOA", "NOERROR SOA ns.tsweave.local"],
  ["tsweave.local", "A", "forward"],
  ["printer", "A", "NOERROR 192.0.2.7"],
  ["7.2.0.192.in-addr.arpa", "PTR", "NOERROR printer.tsweave.local"],
  ["linked", "A", "forward"],
  ["LINKED.tsweave", "A", "forward"],
  ["hidden", "A", "forward"],
  ["example.com", "A", "forward"],
  ["nobody.tsweave.local", "A", "forward"],
  ["2.0.32.10.in-addr.arpa", "PTR", "NOERROR web.tsweave"],
  ["2.0.32.10.IN-ADDR.ARPA", "PTR", "NOERROR web.tsweave"],
  ["2.0.32.10.in-addr.arpa", "A", "NOERROR"],
  ["99.0.32.10.in-addr.arpa", "PTR", "NXDOMAIN"],
  ["2.0.34.10.in-addr.arpa", "PTR", "NXDOMAIN"],
  ["1.2.0.192.in-addr.arpa", "PTR", "forward"],
  ["0.32.10.in-addr.arpa", "PTR", "forward"],
];
for (const [name, type, wanted] of cases) {
  test(`${name} ${type}: ${wanted}`, () => assert.equal(ask(name, type), wanted));
}

test("other classes are Docker's", () =>
  assert.equal(ask("web", "TXT", { klass: "CH" }), "forward"));

test("a crowd: as many as fit, all over TCP, every address in turn", () => {
  const count = (options: Options) => ask("crowd", "A", options).split(" ").length - 1;
  assert.equal(count({}), 30);
  assert.equal(count({ udpPayloadSize: 1232 }), 74);
  assert.equal(count({ udpPayloadSize: 65_535 }), 100);
  assert.equal(count({ transport: "tcp" }), 100);
  const seen = new Map<string, number>();
  for (let round = 0; round < 400; round += 1) {
    const first = firstOf("crowd");
    seen.set(first, (seen.get(first) ?? 0) + 1);
  }
  assert.ok(seen.size > 90, `${seen.size} of 100 came first at least once in 400`);
  assert.ok(Math.max(...seen.values()) < 20);
});
