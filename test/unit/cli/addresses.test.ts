/** Which addresses are announced, listened on, and used for a peer's frames. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { announceable, chooseAdvertise } from "../../../cli/advertise.ts";
import { bindFor } from "../../../cli/wiring/base.ts";
import { SharedRows, vtepFrom } from "../../../cli/wiring/shared-rows.ts";
import type { Member, TableName, TableRow, Tables } from "../../../mesh/index.ts";
import { desired } from "../../../overlay/desired.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const OTHER = "b".repeat(32);

function member(inUse: string, hosts: readonly string[]): Member {
  const advertise = { host: inUse, port: 6783 };
  const fixed = { id: OTHER, name: "h2", incarnation: 1, sinceMs: 0, rttMs: null, self: false };
  return { ...fixed, advertise, hosts, state: "alive" };
}

test("loopback, link-local and inward bridges are not announced", () => {
  const address = (device: string, text: string, internal = false) => {
    return { device, address: text, internal };
  };
  const own = [
    address("lo", "127.0.0.1", true),
    address("eth0", "10.0.0.1"),
    address("eth0", "fe80::1"),
    address("docker0", "172.17.0.1"),
    address("eth1", "fd00::1"),
    address("eth1", "169.254.3.4"),
    address("wg0", "10.0.0.1"),
  ];
  const found = announceable(own, (device) => device !== "docker0");
  assert.deepEqual(found, ["10.0.0.1", "fd00::1"]);
});

test("a single address to listen on is the only one announced", async () => {
  assert.deepEqual(await chooseAdvertise([], "10.1.2.3"), ["10.1.2.3"]);
});

test("the listener hears what is announced, or the launch is refused", () => {
  const bind = (hosts: readonly string[], given?: string) => bindFor(hosts, { bind: given });
  assert.equal(bind(["10.0.0.1"]), "0.0.0.0");
  assert.equal(bind(["10.0.0.1", "fd00::1"]), "::");
  assert.equal(bind(["10.0.0.1", "fd00::1"], "::"), "::");
  assert.equal(bind(["10.0.0.1"], "10.0.0.1"), "10.0.0.1");
  assert.throws(() => bind(["fd00::1"], "0.0.0.0"), { code: "CONFIG" });
  assert.throws(() => bind(["10.0.0.1", "fd00::1"], "fd00::1"), { code: "CONFIG" });
});

test("frames go to the address that works here, of the IP version that the device speaks", () => {
  const [first, second, v6] = ["10.0.0.2", "10.1.0.2", "fd00::2"];
  assert.equal(vtepFrom(undefined, first), first, "nobody has met it: its row's word");
  assert.equal(vtepFrom(member(second, [first, second]), first), second);
  assert.equal(vtepFrom(member(v6, [first, second, v6]), first), first, "gossip by IPv6");
  assert.equal(vtepFrom(member(v6, [v6]), first), first, "none of its kind: see status");
  assert.equal(vtepFrom(member("10.9.0.2", ["10.9.0.2"]), first), "10.9.0.2", "it moved");
});

test("kernel entries follow the address in use", () => {
  const mac = "02:42:0a:20:00:05";
  const row: TableRow = {
    table: "endpoints",
    origin: OTHER,
    key: "e".repeat(64),
    value: ["tsweave", "10.32.0.5", mac, "10.0.0.2"],
  };
  const tables = {
    rows: (table: TableName) => (table === "endpoints" ? [row] : []),
    watch: () => () => undefined,
  } as unknown as Tables;
  let peer = member("10.0.0.2", ["10.0.0.2", "10.1.0.2"]);
  const members = () => [peer];
  const presence = { entriesCount: () => true };
  const rows = new SharedRows({ tables, presence, members, log: new QuietLog() }, "a".repeat(32));
  const network = {
    name: "tsweave",
    id: "1".repeat(64),
    vni: 256,
    subnet: "10.32.0.0/12",
    gateway: "10.32.0.1",
    mtuBytes: 1450,
    internal: false,
  };
  const self = { peer: "a".repeat(32), vtep: "10.0.0.1" };
  const forwards = () =>
    desired([network], [], rows.remotes(), { vxlanPort: 4789, self })[0]?.remote.forwards;
  assert.deepEqual(forwards(), new Map([[mac, "10.0.0.2"]]));
  peer = member("10.1.0.2", ["10.0.0.2", "10.1.0.2"]);
  assert.deepEqual(forwards(), new Map([[mac, "10.1.0.2"]]));
});
