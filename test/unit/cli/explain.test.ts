/** From the facts to the one cause of `tsweave explain`: every cause by the fact that makes it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AttachmentRow, EndpointRow } from "../../../cli/control/api.ts";
import {
  nameFacts,
  networkOf,
  ownEndpoints,
  sourceFacts,
  type Tables,
  targetFacts,
} from "../../../cli/explain/choose.ts";
import { explain } from "../../../cli/explain/decide.ts";
import type { Facts } from "../../../cli/explain/facts.ts";
import { farLook, type LinkLook, parseLinks } from "../../../cli/explain/link-look.ts";
import { CAUSES } from "../../../cli/explain/step.ts";
import { explainText } from "../../../cli/render/explain-text.ts";

const A: AttachmentRow = {
  id: "a".repeat(64),
  kind: "docker",
  target: "web",
  network: "tsweave",
  ip: "10.32.0.2",
  mac: "02:42:0a:20:00:02",
  names: ["web", "aaaabbbbcccc"],
  interface: null,
  gateway: null,
  resolver: null,
};

const LINK: LinkLook = {
  up: true,
  carrier: true,
  master: "br0",
  mtuBytes: 1450,
  vni: null,
  vxlanPort: null,
  rxPackets: 1,
  txPackets: 1,
};
const VXLAN = { ...LINK, vni: 256, vxlanPort: 4789 };
const FAR = { vxlan: "up", vni: 256, vxlanPort: 4789, toPackets: 9, fromPackets: 9 } as const;
const MAC = "02:42:0a:2c:00:09";
const SILENT = { rttMs: null, largestBytes: null, error: "no echo comes back" };

/** Everything well: a container here, one on h2. */
const WELL = {
  from: "web",
  to: "db",
  tcpPort: null,
  source: { endpoint: A, networks: ["tsweave"], elsewhere: null },
  name: { answers: [{ network: "tsweave", ip: "10.44.0.9" }], elsewhere: [], resolver: "answered" },
  target: {
    ip: "10.44.0.9",
    network: "tsweave",
    inSubnet: true,
    endpoint: {
      ...{ id: "b".repeat(64), name: "db", mac: MAC, peer: "h2", vtep: "192.0.2.2", local: false },
    },
    twins: [],
    otherNetwork: null,
    rangeOwner: "h2",
    conflictWith: null,
  },
  peer: {
    ...{ name: "h2", state: "alive", sinceSeconds: 90, direct: true, directSinceSeconds: 80 },
    ...{ fault: null, error: null, vxlanPort: 4789 },
  },
  overlay: {
    ...{ netns: "tsweave-0123456789", exists: true, error: null, bridge: LINK, vxlan: VXLAN },
    ...{ vni: 256, vxlanPort: 4789 },
  },
  plug: { port: LINK, device: { name: "eth0", up: true }, route: "eth0", error: null },
  entries: {
    neighbour: { wanted: MAC, found: MAC },
    forward: { wanted: "192.0.2.2", found: "192.0.2.2" },
    steer: { wanted: "static", found: "static" },
  },
  underlay: {
    ...{ address: "192.0.2.2", neededBytes: 1500, rttMs: 0.2, largestBytes: 1500, error: null },
  },
  end: { look: { port: "plugged", ...FAR }, error: null, delivered: 5, answered: 5 },
  probe: { icmp: { rttMs: 0.4, largestBytes: 1450, error: null }, mtuBytes: 1450, tcp: null },
} as const satisfies Facts;

/** Nothing comes back: what every fault below leads to. */
const DEAD_END = {
  ...WELL,
  end: { ...WELL.end, delivered: 0, answered: 0 },
  probe: { ...WELL.probe, icmp: SILENT },
};
const without = { peer: null, overlay: null, plug: null, entries: null, underlay: null, end: null };
const LOCAL: Facts = {
  ...DEAD_END,
  ...{ peer: null, entries: null, underlay: null },
  target: { ...WELL.target, endpoint: { ...WELL.target.endpoint, local: true, peer: "h1" } },
};
const entries = (change: Partial<NonNullable<Facts["entries"]>>): Facts => ({
  ...DEAD_END,
  entries: { ...WELL.entries, ...change },
});
const tcp = (outcome: "refused" | "silent") => ({ outcome, tookMs: null, error: "no answer" });

const gone = { ...WELL, ...without, target: null, probe: null, name: null };
const CASES: readonly [keyof typeof CAUSES, Facts, RegExp][] = [
  [
    "SOURCE_UNKNOWN",
    { ...gone, source: { endpoint: null, networks: [], elsewhere: null } },
    /nothing here is named web -> tsweave ps/,
  ],
  [
    "SOURCE_ELSEWHERE",
    {
      ...gone,
      source: { endpoint: null, networks: [], elsewhere: { peer: "h3", network: "tsweave" } },
    },
    /web is on h3, .* -> run tsweave explain on h3/,
  ],
  [
    "SOURCE_NOT_ON_NETWORK",
    { ...gone, source: { endpoint: null, networks: ["tsweave"], elsewhere: null } },
    /web is on tsweave, not on network back/,
  ],
  [
    "NAME_UNKNOWN",
    { ...gone, name: { ...WELL.name, answers: [] } },
    /nobody has the name db -> tsweave status dns/,
  ],
  [
    "NAME_ON_OTHER_NETWORK",
    {
      ...gone,
      name: { ...WELL.name, answers: [], elsewhere: [{ network: "back", peer: "h2" }] },
    },
    /db is on network back, web only on tsweave -> docker network connect back web/,
  ],
  [
    "NAMES_UNANSWERED",
    { ...WELL, name: { ...WELL.name, resolver: "lost" } },
    /db is 10\.44\.0\.9 .* lookups of web do not arrive/,
  ],
  [
    "NO_ENDPOINT",
    { ...DEAD_END, ...without, target: { ...WELL.target, endpoint: null } },
    /nothing on any host has 10\.44\.0\.9/,
  ],
  [
    "ADDRESS_ON_OTHER_NETWORK",
    {
      ...DEAD_END,
      ...without,
      target: { ...WELL.target, endpoint: null, otherNetwork: { network: "back", name: "db" } },
    },
    /10\.44\.0\.9 is db on network back, not on tsweave -> docker network connect back web/,
  ],
  [
    "ADDRESS_TWICE",
    {
      ...entries({ neighbour: { wanted: MAC, found: "02:42:0a:2c:00:0a" } }),
      target: { ...WELL.target, twins: [{ name: "other", peer: "h3" }] },
    },
    /also other on h3/,
  ],
  [
    "PEER_SUSPECT",
    { ...DEAD_END, peer: { ...WELL.peer, state: "suspect", error: "late" } },
    /h2 does not answer for 1m 30s/,
  ],
  [
    "PEER_DEAD",
    {
      ...entries({
        neighbour: { wanted: MAC, found: null },
        forward: { wanted: "192.0.2.2", found: null },
      }),
      peer: { ...WELL.peer, state: "dead", error: "late" },
    },
    /the daemon on h2 is gone for 1m 30s -> on h2: tsweave launch/,
  ],
  ["PEER_LEFT", { ...DEAD_END, peer: { ...WELL.peer, state: "left" } }, /h2 has left the mesh/],
  [
    "NO_DIRECT_PATH",
    { ...DEAD_END, peer: { ...WELL.peer, direct: false, fault: "tcp-only" } },
    /only other peers reach h2, for 1m 20s: tcp-only -> tsweave ping h2/,
  ],
  [
    "NAMESPACE_MISSING",
    {
      ...DEAD_END,
      overlay: { ...WELL.overlay, exists: false, bridge: null, vxlan: null },
      plug: { ...WELL.plug, port: null },
    },
    /namespace tsweave-0123456789 is not there/,
  ],
  [
    "BRIDGE_DOWN",
    { ...DEAD_END, overlay: { ...WELL.overlay, bridge: { ...LINK, up: false } } },
    /br0 in tsweave-0123456789 is down/,
  ],
  [
    "VXLAN_DOWN",
    {
      ...entries({ neighbour: { wanted: MAC, found: null } }),
      overlay: { ...WELL.overlay, vxlan: { ...VXLAN, up: false } },
    },
    /vxlan0 in tsweave-0123456789 is down/,
  ],
  [
    "VNI_DIFFERS",
    { ...DEAD_END, overlay: { ...WELL.overlay, vxlan: { ...VXLAN, vni: 300 } } },
    /vxlan0 has VNI 300, the network has 256/,
  ],
  [
    "VXLAN_PORT_DIFFERS",
    { ...DEAD_END, overlay: { ...WELL.overlay, vxlan: { ...VXLAN, vxlanPort: 8472 } } },
    /vxlan0 sends to UDP 8472, --vxlan-port is 4789/,
  ],
  [
    "SOURCE_UNPLUGGED",
    { ...DEAD_END, plug: { ...WELL.plug, port: null } },
    /web is not plugged into the network -> docker restart web/,
  ],
  [
    "SOURCE_DOWN",
    { ...DEAD_END, plug: { ...WELL.plug, device: { name: "eth0", up: false } } },
    /eth0 in web, .* is down -> tsweave netns web -- ip link set eth0 up/,
  ],
  [
    "ROUTE_ELSEWHERE",
    { ...DEAD_END, plug: { ...WELL.plug, route: "wg0" } },
    /web's route to 10\.44\.0\.9 leads to wg0, not eth0/,
  ],
  [
    "NEIGHBOUR_MISSING",
    entries({ neighbour: { wanted: MAC, found: null } }),
    /the neigh entry \(02:42:0a:2c:00:09\) is missing -> ip -n tsweave-0123456789 neigh/,
  ],
  [
    "NEIGHBOUR_WRONG",
    entries({ neighbour: { wanted: MAC, found: "02:42:00:00:00:01" } }),
    /neigh entry says 02:42:00:00:00:01, not 02:42:0a:2c:00:09/,
  ],
  [
    "FORWARD_MISSING",
    entries({ forward: { wanted: "192.0.2.2", found: null } }),
    /FDB entry of vxlan0 \(192\.0\.2\.2\) is missing/,
  ],
  [
    "FORWARD_WRONG",
    entries({ forward: { wanted: "192.0.2.2", found: "192.0.2.77" } }),
    /FDB entry of vxlan0 says 192\.0\.2\.77, not 192\.0\.2\.2 -> bridge -n/,
  ],
  ["STEER_MISSING", entries({ steer: { wanted: "static", found: null } }), /br0 .* is missing/],
  ["STEER_WRONG", entries({ steer: { wanted: "static", found: "stale" } }), /says stale/],
  [
    "UNDERLAY_SILENT",
    {
      ...DEAD_END,
      peer: { ...WELL.peer, state: "dead", error: "late" },
      underlay: { ...WELL.underlay, ...SILENT },
    },
    /nothing comes back from 192\.0\.2\.2: .*; h2 is dead for 1m 30s -> ping 192\.0\.2\.2/,
  ],
  [
    "UNDERLAY_NARROW",
    {
      ...WELL,
      underlay: { ...WELL.underlay, largestBytes: 1400 },
      probe: { ...WELL.probe, icmp: { ...WELL.probe.icmp, largestBytes: 1350 } },
    },
    /packets up to 1400 bytes pass, containers need 1500 -> launch all hosts with a smaller --mtu/,
  ],
  [
    "PEER_VXLAN_PORT_DIFFERS",
    { ...DEAD_END, peer: { ...WELL.peer, vxlanPort: 8472 } },
    /h2 has --vxlan-port 8472, this host 4789/,
  ],
  [
    "PEER_VXLAN_DOWN",
    { ...DEAD_END, end: { ...DEAD_END.end, look: { port: "plugged", ...FAR, vxlan: "down" } } },
    /vxlan0 of the network on h2 is down/,
  ],
  [
    "PEER_VNI_DIFFERS",
    { ...DEAD_END, end: { ...DEAD_END.end, look: { port: "plugged", ...FAR, vni: 9 } } },
    /h2 has VNI 9, this host 256/,
  ],
  [
    "TARGET_UNPLUGGED",
    { ...DEAD_END, end: { ...DEAD_END.end, look: { port: "missing", ...FAR } } },
    /db is not plugged into the network on h2/,
  ],
  [
    "TARGET_DOWN",
    { ...DEAD_END, end: { ...DEAD_END.end, look: { port: "down", ...FAR } } },
    /the interface of db on h2 is down/,
  ],
  [
    "NOT_PROBED",
    { ...DEAD_END, probe: null, plug: { ...WELL.plug, device: undefined, error: "no such file" } },
    /no packet could be sent from web: no such file/,
  ],
  ["TUNNEL_BLOCKED", DEAD_END, /do not arrive at db on h2: UDP 4789 .* -> let UDP 4789 pass/],
  ["BRIDGE_BLOCKED", LOCAL, /do not get through br0 to db -> tsweave doctor/],
  [
    "TARGET_SILENT",
    { ...DEAD_END, end: { ...DEAD_END.end, delivered: 10, answered: 3 } },
    /packets arrive at db, and it answers none/,
  ],
  [
    "REPLY_LOST",
    { ...DEAD_END, end: { ...DEAD_END.end, delivered: 10, answered: 9 } },
    /its answers do not come back -> on h2: tsweave explain/,
  ],
  [
    "NO_ANSWER",
    { ...DEAD_END, end: { look: null, error: "late", delivered: null, answered: null } },
    /nothing comes back from db: no echo comes back/,
  ],
  [
    "PORT_CLOSED",
    { ...WELL, tcpPort: 81, probe: { ...WELL.probe, tcp: tcp("refused") } },
    /db is reached, and nothing listens there on tcp\/81/,
  ],
  [
    "PORT_SILENT",
    { ...WELL, tcpPort: 81, probe: { ...WELL.probe, tcp: tcp("silent") } },
    /answers pings, and not tcp\/81/,
  ],
  [
    "PACKETS_CUT",
    { ...WELL, probe: { ...WELL.probe, icmp: { ...WELL.probe.icmp, largestBytes: 1300 } } },
    /db answers, but at most 1300 bytes, of an MTU of 1450/,
  ],
];

const verdict = (facts: Facts, network?: string) => {
  const lines = explainText(facts, explain(facts, network)).trimEnd().split("\n");
  return lines.at(-1) ?? "";
};

describe("explain", () => {
  it("says reachable with every step ok", () => {
    const { steps, reachable, cause, notes } = explain(WELL);
    assert.deepEqual([reachable, cause, notes], [true, null, []]);
    assert.deepEqual(
      steps.filter(({ state }) => state !== "ok"),
      [],
    );
    assert.equal(steps.length, 12);
    assert.equal(verdict(WELL), "db is reachable from web");
  });

  for (const [code, facts, text] of CASES) {
    it(`names ${code}`, () => {
      const { reachable, cause, found } = explain(facts, "back");
      assert.equal(cause?.code, code, verdict(facts));
      assert.equal(reachable, false);
      assert.match(verdict(facts, "back"), text);
      const isUnknown = /^(SOURCE_(UNKNOWN|ELSEWHERE)|NAME_UNKNOWN|NO_ENDPOINT)$/.test(code);
      assert.equal(found, !isUnknown);
    });
  }

  it("has a case for every cause", () => {
    assert.deepEqual(CASES.map(([code]) => code).toSorted(), Object.keys(CAUSES).toSorted());
  });

  it("lets an answer stand against what is wrong besides", () => {
    const facts: Facts = { ...WELL, peer: { ...WELL.peer, state: "dead", error: "late" } };
    const { reachable, notes } = explain(facts);
    assert.deepEqual([reachable, notes], [true, ["PEER_DEAD"]]);
    assert.match(verdict(facts), /^db is reachable from web; besides: PEER_DEAD$/);
  });

  it("notes what is wrong besides the cause, and not the silence that follows from it", () => {
    const facts: Facts = {
      ...entries({ neighbour: { wanted: MAC, found: null } }),
      peer: { ...WELL.peer, state: "suspect", error: "late" },
    };
    const { cause, notes } = explain(facts);
    assert.deepEqual([cause?.code, notes], ["NEIGHBOUR_MISSING", ["PEER_SUSPECT"]]);
    assert.match(verdict(facts), /else tsweave doctor; besides: PEER_SUSPECT$/);
  });

  it("takes an open port for an answer where pings are dropped", () => {
    const open = { outcome: "open", tookMs: 0.4, error: null } as const;
    const facts: Facts = { ...DEAD_END, tcpPort: 80, probe: { ...DEAD_END.probe, tcp: open } };
    assert.equal(explain(facts).reachable, true);
  });

  it("blames no tunnel within a host", () => {
    const facts: Facts = {
      ...LOCAL,
      overlay: { ...WELL.overlay, vxlan: { ...VXLAN, up: false } },
      end: { ...DEAD_END.end, look: { port: "down", ...FAR } },
    };
    assert.equal(explain(facts).cause?.code, "TARGET_DOWN");
  });

  it("takes a host that answers TCP and no pings for one that is there", () => {
    const facts: Facts = { ...DEAD_END, underlay: { ...WELL.underlay, ...SILENT } };
    assert.equal(explain(facts).cause?.code, "TUNNEL_BLOCKED");
    const cut: Facts = { ...facts, peer: { ...WELL.peer, error: "late" } };
    assert.equal(explain(cut).cause?.code, "UNDERLAY_SILENT");
  });

  it("knows an address outside of the mesh", () => {
    const target = { ...WELL.target, endpoint: null, inSubnet: false };
    const outside: Facts = { ...DEAD_END, ...without, plug: WELL.plug, target };
    assert.equal(explain(outside).cause?.code, "NO_ANSWER");
    assert.match(verdict(outside), /-> tsweave netns web -- ip route$/);
    assert.equal(explain({ ...outside, probe: WELL.probe }).reachable, true);
  });
});

const row = (name: string, ip: string, more: Partial<EndpointRow> = {}): EndpointRow => ({
  ...{ network: "tsweave", id: name.padEnd(64, "0"), name, aliases: [], ip, mac: MAC },
  ...{ peer: "h2", vtep: "192.0.2.2", local: false, state: "alive", ...more },
});
const TABLES: Tables = {
  own: [A, { ...A, id: "c".repeat(64), network: "back", ip: "10.60.0.2" }],
  endpoints: [
    row("db", "10.60.0.9", { network: "back", aliases: ["sql"] }),
    row("far", "10.32.0.9", { network: "front" }),
    row("twin1", "10.32.0.7"),
    row("twin2", "10.32.0.7", { local: true, peer: "h1" }),
  ],
  networks: ["tsweave 10.32.0.0/12", "back 10.60.0.0/16"].map((text) => {
    const [name = "", subnet = ""] = text.split(" ");
    const mtu = { mtu: 1450, mtuReason: "eth0 of h1 has 1500" };
    const facts = { vni: 256, ...mtu, internal: false, endpoints: 1, local: 1 };
    return { name, subnet, ...facts, here: true, why: null, present: ["h1"], conflicts: [] };
  }),
  pools: [
    {
      ...{ subnet: "10.32.0.0/12", used: 1, free: 1, conflicts: [] },
      owned: [
        { peer: "h1", ranges: ["10.32.0.0-10.39.255.255"], addresses: 1, used: 1, reachable: true },
      ],
    },
  ],
  domain: "tsweave.local",
  self: "h1",
};

describe("who is meant", () => {
  it("finds A by name, by Docker's id, by the endpoint's id, and on the network asked for", () => {
    for (const word of ["web", "aaaabbbbccccdddd", "10.32.0.2"]) {
      assert.equal(ownEndpoints(word, TABLES)[0]?.ip, "10.32.0.2", word);
    }
    assert.equal(ownEndpoints("ccccccc", TABLES)[0]?.network, "back");
    assert.deepEqual(ownEndpoints("host", TABLES), []);
    const mine = ownEndpoints("web", TABLES);
    assert.equal(sourceFacts("web", mine, TABLES, "back").endpoint?.ip, "10.60.0.2");
    assert.equal(sourceFacts("web", mine, TABLES, "front").endpoint, null);
    assert.deepEqual(sourceFacts("db", [], TABLES, undefined).elsewhere, {
      peer: "h2",
      network: "back",
    });
  });

  it("finds B by alias and with the domain, and on networks that A is not on", () => {
    const both = ["tsweave", "back"];
    const found = nameFacts("sql.tsweave.local", [], "answered", both, TABLES);
    assert.deepEqual(found.answers, [{ network: "back", ip: "10.60.0.9" }]);
    const hidden = nameFacts("far", [], "answered", both, TABLES);
    assert.deepEqual([hidden.answers, hidden.elsewhere], [[], [{ network: "front", peer: "h2" }]]);
    assert.equal(networkOf("10.60.0.9", both, TABLES), "back");
    assert.equal(networkOf("10.60.7.7", both, TABLES), "back");
  });

  it("tells owner, twins and subnet of an address", () => {
    const twice = targetFacts("10.32.0.7", "tsweave", TABLES);
    assert.deepEqual(
      [twice.endpoint?.name, twice.twins],
      ["twin2", [{ name: "twin1", peer: "h2" }]],
    );
    assert.deepEqual([twice.rangeOwner, twice.inSubnet], ["h1", true]);
    const outside = targetFacts("192.0.2.77", "tsweave", TABLES);
    assert.deepEqual([outside.endpoint, outside.inSubnet], [null, false]);
    assert.equal(targetFacts("fd00::1", "tsweave", TABLES).inSubnet, false);
    assert.equal(targetFacts("10.32.0.9", "tsweave", TABLES).otherNetwork?.network, "front");
  });
});

describe("devices", () => {
  const text = (device: object) => `${JSON.stringify([device])}\n`;
  const vxlan = {
    ...{ ifname: "vxlan0", flags: ["UP", "LOWER_UP"], mtu: 1450, master: "br0" },
    linkinfo: { info_kind: "vxlan", info_data: { id: 256, port: 4789 } },
    stats64: { rx: { packets: 3 }, tx: { packets: 4 } },
  };
  it("are read with their counters, VNI and port", () => {
    const links = parseLinks(text(vxlan) + text({ ifname: "veth1", flags: ["NO-CARRIER", "UP"] }));
    const found = links.get("vxlan0");
    assert.deepEqual([found?.vni, found?.vxlanPort, found?.rxPackets], [256, 4789, 3]);
    const port = links.get("veth1") ?? null;
    assert.deepEqual([port?.up, port?.carrier, port?.master], [true, false, null]);
    assert.equal(farLook(port, found ?? null).port, "down");
    assert.deepEqual([farLook(null, null).port, farLook(null, null).vxlan], ["missing", "missing"]);
    assert.throws(() => parseLinks("Object 3 is unknown"), /no JSON/);
  });
});
