/** MTU arithmetic and the judgement of a host's routes and name servers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TsweaveError } from "../../../mesh/index.ts";
import { overlayMtu } from "../../../overlay/mtu.ts";
import {
  parseNameservers,
  parseRoutes,
  probeProblem,
  subnetProblems,
} from "../../../overlay/preflight.ts";

test("the overlay's MTU is the underlay's less the headers", () => {
  assert.equal(overlayMtu(1500), 1450);
  assert.equal(overlayMtu(1500, 6), 1430);
  assert.equal(overlayMtu(9001), 8951);
  for (const bad of [600, 0, Number.NaN]) {
    assert.throws(
      () => overlayMtu(bad),
      (error) => error instanceof TsweaveError && error.code === "CONFIG",
    );
  }
});

const ROUTES = JSON.stringify([
  { dst: "default", gateway: "192.0.2.1", dev: "eth0" },
  { dst: "0.0.0.0/1", dev: "tun0" },
  { dst: "172.17.0.0/16", dev: "docker0" },
  { dst: "10.40.0.7", dev: "wg0" },
  { type: "blackhole", dst: "198.18.0.0/15" },
  { dst: "10.32.0.0/12", dev: "tsweave_gw" },
]);

test("an overlapping route is named with its device, defaults and our own are not", () => {
  const routes = parseRoutes(ROUTES);
  const lines = (subnet: string) => subnetProblems(subnet, routes, []).map((p) => p.message);
  const wg = "overlaps the host's route 10.40.0.7/32 dev wg0";
  assert.deepEqual(lines("10.32.0.0/12"), [`subnet 10.32.0.0/12 ${wg}`]);
  assert.deepEqual(lines("172.17.3.0/24"), [
    "subnet 172.17.3.0/24 overlaps the host's route 172.17.0.0/16 dev docker0",
  ]);
  assert.deepEqual(lines("198.18.0.0/24").length, 1);
  assert.deepEqual(lines("10.64.0.0/12"), []);
  assert.deepEqual(lines("fd00::/64"), []);
  const [problem] = subnetProblems("10.32.0.0/12", routes, []);
  assert.equal(problem?.code, "SUBNET_OVERLAP");
  assert.match(problem?.hint ?? "", /--ipalloc-range/);
});

test("an overlapping name server is named; resolv.conf is read with all its oddities", () => {
  const conf = "# c\nnameserver 10.32.0.53\n nameserver\t127.0.0.53 # x\nnameserver fe80::1%eth0\n";
  assert.deepEqual(parseNameservers(`${conf}nameserver nonsense\nsearch a`), [
    "10.32.0.53",
    "127.0.0.53",
    "fe80::1",
  ]);
  const [problem] = subnetProblems("10.32.0.0/12", [], ["10.32.0.53"]);
  assert.match(problem?.message ?? "", /name server 10\.32\.0\.53/);
});

test("a subnet that is none is a configuration error; unreadable routes are an error", () => {
  assert.equal(subnetProblems("10.32.0.0", [], [])[0]?.code, "CONFIG");
  assert.deepEqual(parseRoutes(""), []);
  assert.throws(() => parseRoutes("nope"), /no JSON/);
});

test("what the kernel lacks is told with the module", () => {
  const problem = probeProblem("vxlan", "Error: Unknown device type.");
  assert.equal(problem.code, "KERNEL_LACKS");
  assert.match(problem.line, /modprobe vxlan/);
  assert.equal(probeProblem("veth", "RTNETLINK answers: Operation not permitted").code, "NOT_ROOT");
});
