/** Observation: what iproute2 6.1 prints on a real overlay namespace, and what is not JSON. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEcho, readEntryLine } from "../../../overlay/echo.ts";
import { isHint, isMemberHint } from "../../../overlay/io/monitor.ts";
import { parseObservation } from "../../../overlay/observe.ts";

const LINKS = JSON.stringify([
  {
    ifname: "lo",
    flags: ["LOOPBACK", "UP"],
    mtu: 65536,
    addr_info: [{ family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host" }],
  },
  {
    ifname: "br0",
    flags: ["BROADCAST", "UP"],
    mtu: 1450,
    address: "02:42:0a:20:00:01",
    linkinfo: { info_kind: "bridge", info_data: { stp_state: 0 } },
    addr_info: [
      { family: "inet", local: "10.32.0.1", prefixlen: 12, scope: "global" },
      { family: "inet6", local: "fe80::42:aff:fe20:1", prefixlen: 64, scope: "link" },
    ],
  },
  {
    ifname: "vxlan0",
    flags: ["UP"],
    mtu: 1450,
    master: "br0",
    link_netnsid: 0,
    address: "c6:9c:d3:d3:18:b2",
    linkinfo: {
      info_kind: "vxlan",
      info_data: { id: 256, port: 4789, learning: false, proxy: true, l2miss: true, l3miss: true },
      info_slave_kind: "bridge",
      info_slave_data: { learning: false },
    },
    addr_info: [],
  },
]);
const NEIGH = '[{"dst":"10.32.0.9","lladdr":"02:42:0a:20:00:09","state":["PERMANENT"]}]';
const self = { flags: ["self"], linkNetNsId: 0, state: "permanent" };
const FDB = JSON.stringify([
  { mac: "02:42:0a:20:00:09", flags: [], master: "br0", state: "static" },
  { mac: "c6:9c:d3:d3:18:b2", flags: [], master: "br0", state: "permanent" },
  { mac: "02:42:0a:20:00:0b", flags: [], master: "br0", state: "" },
  { mac: "02:42:0a:20:00:09", dst: "192.0.2.2", ...self },
  { mac: "02:42:0a:20:00:0a", dst: "192.0.2.2", port: 99, vni: 77, ...self },
  { mac: "02:42:0a:20:00:0c", dst: "192.0.2.2", ...self, state: "" },
  { mac: "00:00:00:00:00:00", dst: "192.0.2.3", ...self },
  { mac: "00:00:00:00:00:00", dst: "192.0.2.4", ...self },
  { mac: "33:33:00:00:00:01", flags: ["self"], state: "permanent" },
]);

test("links, entries and filters are read", () => {
  const filters = "net.bridge.bridge-nf-call-iptables=1\nnet.bridge.bridge-nf-call-arptables=0\n";
  const seen = parseObservation("ns", { ip: `${LINKS}\n${NEIGH}\n`, fdb: FDB, filters });
  assert.equal(seen.filtered, true);
  assert.deepEqual(seen.links.get("br0")?.cidrs, ["10.32.0.1/12"]);
  assert.equal(seen.links.get("br0")?.stp, false);
  assert.deepEqual(seen.links.get("vxlan0")?.vxlan, {
    vni: 256,
    port: 4789,
    learning: false,
    proxy: true,
    l2miss: true,
    l3miss: true,
    foreignSocket: true,
    underlay: 4,
  });
  assert.equal(seen.links.get("vxlan0")?.portLearning, false);
  assert.deepEqual([...seen.neighbours], [["10.32.0.9", "02:42:0a:20:00:09"]]);
  const forwards = [...seen.forwards.values()].map(({ mac, plain }) => [mac.slice(-2), plain]);
  assert.deepEqual(forwards, [
    ["09", true],
    ["0a", false],
    ["0c", false],
  ]);
  assert.deepEqual(
    [...seen.floods.values()].map(({ vtep }) => vtep),
    ["192.0.2.3", "192.0.2.4"],
  );
  assert.deepEqual([...seen.steers.values()], ["static", "permanent", "learned"]);
});

test("of all FDB entries only those of vxlan0 and what is steered to gw0 count", () => {
  const mac = (end: number) => `02:42:0a:20:00:0${end}`;
  const fdb = JSON.stringify([
    { mac: mac(1), ifname: "br0", flags: ["self"], state: "permanent" },
    { mac: mac(2), ifname: "veth1111111", master: "br0", state: "" },
    { mac: mac(3), ifname: "gw0", master: "br0", state: "permanent" },
    { mac: mac(4), ifname: "gw0", master: "br0", state: "static" },
    { mac: mac(5), ifname: "vxlan0", master: "br0", state: "static" },
    { mac: mac(4), ifname: "vxlan0", dst: "192.0.2.2", flags: ["self"], state: "permanent" },
  ]);
  const seen = parseObservation("ns", { ip: "[]\n", fdb, filters: "" });
  assert.deepEqual(
    [...seen.steers],
    [
      [mac(4), "direct"],
      [mac(5), "static"],
    ],
  );
  assert.deepEqual([...seen.forwards.keys()], [mac(4)]);
});

test("an own steer to gw0 is known by its echo", () => {
  const line = readEntryLine("dev gw0 lladdr 02:42:0a:20:00:04 NOARP ");
  assert.ok(line?.table === "steer" && line.direct === true);
  const tables = (steer: string) => ({
    ...{ neighbours: new Map(), forwards: new Map(), floods: new Map() },
    steers: new Map([["02:42:0a:20:00:04", steer]]),
  });
  assert.ok(isEcho(line, tables("direct")));
  assert.ok(!isEcho(line, tables("static")));
});

test("without vxlan0 and without br_netfilter", () => {
  const seen = parseObservation("ns", { ip: "[]\n", fdb: "", filters: "" });
  assert.deepEqual([seen.state, seen.filtered, seen.links.size], ["present", false, 0]);
});

test("what is not JSON is an error, never an empty kernel", () => {
  for (const ip of ["", "garbage\n", "{}\n", "[{\n"]) {
    assert.throws(() => parseObservation("ns", { ip, fdb: "", filters: "" }), /no JSON/, ip);
  }
  assert.throws(() => parseObservation("ns", { ip: "[]\n", fdb: "Error", filters: "" }), /fdb/);
});

test("monitor lines: changes are hints, misses and learning are not", () => {
  const hints = [
    "3: vxlan0@if3: <BROADCAST,MULTICAST> mtu 1450 qdisc noqueue master br0 state DOWN",
    "Deleted 4: vethabc1234@NONE: <BROADCAST> mtu 1450",
    "10.32.0.9 dev vxlan0 lladdr 02:42:0a:20:00:09 PERMANENT ",
    "Deleted 192.0.2.2 dev vxlan0 lladdr 02:42:0a:20:00:09 NOARP PERMANENT ",
    "Deleted 192.0.2.3 dev vxlan0 lladdr 01:00:5e:01:01:02 NOARP PERMANENT ",
  ];
  const noise = [
    "2: br0    inet6 fe80::42:aff:fe20:1/64 scope link ",
    "miss 10.32.0.77 dev vxlan0 STALE ",
    "    link/ether c6:9c:d3:d3:18:b2 brd ff:ff:ff:ff:ff:ff",
    "10.32.0.5 dev br0 lladdr 02:42:0a:20:00:05 REACHABLE ",
    "dev vethabc1234 lladdr 02:42:0a:20:00:05 REACHABLE ",
    "Deleted ff02::16 dev vxlan0 lladdr 33:33:00:00:00:16 NOARP ",
    "224.0.0.22 dev vxlan0 lladdr 01:00:5e:00:00:16 NOARP ",
    "",
  ];
  for (const line of hints) assert.equal(isHint(line), true, line);
  for (const line of noise) assert.equal(isHint(line), false, line);
  assert.equal(isMemberHint("Deleted dev br0 port vethaaaaaaa grp 239.1.1.1 temp"), true);
  assert.equal(isMemberHint("dev br0 port vethaaaaaaa grp ff02::1:fff1:4480 temp"), false);
  assert.equal(isMemberHint("dev br0 port vxlan0 grp 239.1.1.1 temp"), false);
});
