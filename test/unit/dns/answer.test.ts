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
const zone = new Zone(
  [
    record("tsweave", "10.32.0.2", "web"),
    record("tsweave", "10.32.0.3", "linked"),
    record("back", "10.34.0.2", "hidden"),
    ...crowd,
  ],
  [{ network: "tsweave", cidr: "10.32.0.0/12" }],
  "tsweave.local",
);
const asker = { networks: new Set(["tsweave"]), links: new Set(["linked"]) };
const random = new SeededRandom(1);

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
  const data = read.answers?.map((one) => ("data" in one ? one.data : "")) ?? [];
  assert.equal(read.flag_tc, name === "crowd" && data.length < 100);
  return [(read as { rcode?: string }).rcode, ...data].join(" ");
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
    const first = ask("crowd").split(" ")[1] ?? "";
    seen.set(first, (seen.get(first) ?? 0) + 1);
  }
  assert.ok(seen.size > 90, `${seen.size} of 100 came first at least once in 400`);
  assert.ok(Math.max(...seen.values()) < 20);
});
