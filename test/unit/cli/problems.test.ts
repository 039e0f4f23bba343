/** What status calls a problem, and what it does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointRow } from "../../../cli/control/api.ts";
import { type Observations, problemsOf } from "../../../cli/wiring/problems.ts";
import type { Member } from "../../../mesh/index.ts";
import { DOCKER, WELL } from "./fixture-problems.ts";

const codes = (more: Partial<Observations>) =>
  problemsOf({ ...WELL, ...more }).map(({ code }) => code);

function row(name: string, peer: string, more: Partial<EndpointRow> = {}): EndpointRow {
  return {
    network: "tsweave",
    id: name.padEnd(64, "0"),
    name,
    aliases: [],
    ip: "10.32.0.2",
    mac: "02:42:0a:20:00:02",
    peer,
    vtep: "192.0.2.1",
    local: false,
    state: "alive",
    ...more,
  };
}

function member(id: string, state: Member["state"], host: string): Member {
  const advertise = { host, port: 6783 };
  return { id, name: id, incarnation: 1, advertise, state, sinceMs: 0, rttMs: null, self: false };
}

test("nothing is wrong with a host that is well", () => {
  assert.deepEqual(codes({}), []);
});

test("an engine that hangs with its event stream open is a problem", () => {
  assert.deepEqual(codes({ docker: { ...DOCKER, lastError: "no answer within 5000 ms" } }), [
    "DOCKER_UNREACHABLE",
  ]);
});

test("an engine that answered and whose event stream comes next is none", () => {
  assert.deepEqual(codes({ docker: { ...DOCKER, connected: false } }), []);
  const never = { ...DOCKER, connected: false, lastSyncWallMs: null };
  assert.deepEqual(codes({ docker: never }), ["DOCKER_UNREACHABLE"]);
});

test("a network that somebody removed is named with the command that makes it", () => {
  const defaultNetwork = { ...WELL.defaultNetwork, onEngine: false };
  const [problem] = problemsOf({ ...WELL, defaultNetwork });
  assert.equal(problem?.code, "NETWORK_MISSING");
  assert.match(problem?.next ?? "", /--subnet 10\.32\.0\.0\/12 tsweave$/);
  assert.deepEqual(codes({ defaultNetwork, docker: undefined }), [], "--no-docker has none");
  const asking = { ...DOCKER, lastSyncWallMs: null };
  assert.deepEqual(codes({ defaultNetwork, docker: asking }), [], "before the engine has told");
});

test("a container without its veth pair is named with the command that helps", () => {
  const [problem] = problemsOf({
    ...WELL,
    endpoints: [row("web", "h1", { local: true, state: "unplugged" })],
  });
  assert.equal(problem?.code, "UNPLUGGED");
  assert.equal(problem?.next, "docker restart web");
});

test("one address or one MAC at two containers is told, within one network, of live peers", () => {
  const web = row("web", "h1");
  const sameBoth = row("db", "h2");
  // A MAC follows from its address.
  assert.deepEqual(codes({ endpoints: [web, sameBoth] }), ["ADDRESS_TWICE"]);
  const [twice] = problemsOf({ ...WELL, endpoints: [web, sameBoth], keeper: () => "h2" });
  assert.equal(twice?.text, "db on h2 and web on h1 have one address 10.32.0.2");
  assert.match(twice?.next ?? "", /^on h1: docker restart web/);
  const sameMac = { ...sameBoth, ip: "10.33.0.9" };
  const [problem] = problemsOf({ ...WELL, endpoints: [web, sameMac] });
  assert.equal(problem?.text, "web on h1 and db on h2 have one MAC 02:42:0a:20:00:02");
  assert.deepEqual(codes({ endpoints: [web, { ...sameBoth, network: "other" }] }), []);
  assert.deepEqual(codes({ endpoints: [web, { ...sameBoth, state: "dead" }] }), []);
});

test("a hundred of one kind are told in a few lines", () => {
  const cut = Array.from({ length: 100 }, (_, i) =>
    row(`c${i}`, "h1", { local: true, state: "unplugged", ip: `10.32.1.${i}`, mac: `${i}` }),
  );
  const problems = problemsOf({ ...WELL, endpoints: cut });
  assert.equal(problems.length, 9);
  assert.equal(problems[8]?.text, "92 more like this");
});

test("a dead peer is a problem unless its host is back under another id", () => {
  const lost = member("lost", "dead", "192.0.2.1");
  assert.deepEqual(codes({ members: [lost] }), ["PEER_DEAD"]);
  assert.deepEqual(codes({ members: [lost, member("heir", "alive", "192.0.2.1")] }), []);
});

test("a peer that only others reach is named with the reason, the time and what helps", () => {
  const path = { isDirect: false, sinceMs: 35_000, why: "tcp-only" } as const;
  const members = [
    { ...member("h1", "alive", "10.0.0.1"), self: true },
    { ...member("h2", "alive", "10.0.0.2"), path },
    { ...member("h3", "alive", "10.0.0.3"), path: { isDirect: true, sinceMs: 0 } },
    { ...member("h4", "dead", "10.0.0.4") },
  ];
  const [, problem] = problemsOf({ ...WELL, members });
  assert.equal(problem?.code, "NO_DIRECT_PATH");
  assert.equal(
    problem.text,
    "no direct path to h2 (10.0.0.2) since 1m 5s: TCP passes, UDP does not, only other peers " +
      "reach it; containers there cannot be reached from here",
  );
  assert.match(problem.next ?? "", /^ping 10\.0\.0\.2, and let UDP 6783 and 4789 pass/);
  const many = Array.from({ length: 20 }, (_, at) => ({
    ...member(`n${at}`, "alive", `10.1.0.${at}`),
    path,
  }));
  const found = problemsOf({ ...WELL, members: many });
  assert.equal(found.length, 9);
  assert.equal(found.at(-1)?.text, "12 more peers have no direct path");
});

test("a host whose data path has the other IP version is named", () => {
  const members = [
    { ...member("h1", "alive", "10.0.0.1"), self: true },
    { ...member("h2", "alive", "10.0.0.2"), hosts: ["fd00::2", "10.0.0.2"] },
    { ...member("h3", "alive", "fd00::3"), hosts: ["10.0.0.3", "fd00::3"] },
  ];
  assert.deepEqual(codes({ members }), ["UNDERLAY_DIFFERS"]);
});

test("a VNI that another device of the host has comes with its cure", () => {
  const lastError =
    "network tsweave: VNI 256 on UDP 4789 belongs to another VXLAN device of this host";
  const kernel = { ...WELL.kernel, inSync: false, lastError };
  const [problem] = problemsOf({ ...WELL, kernel });
  assert.equal(problem?.code, "KERNEL_DRIFT");
  assert.match(problem?.next ?? "", /--vxlan-port/);
  const [other] = problemsOf({ ...WELL, kernel: { ...kernel, lastError: null, drift: 2 } });
  assert.match(other?.next ?? "", /next pass/);
});

test("whatever is wrong, there is a command or change to go on with", () => {
  const told = { code: "NETWORK_DIFFERS", text: "it differs", next: null };
  const sandbox = { key: "/run/netns/web", networks: ["tsweave"], state: "failed" as const };
  const problem = { code: "COMMAND_FAILED", text: "no nft", next: undefined };
  const dns = { ...WELL.dns, sandboxes: [{ ...sandbox, problem }] } as Observations["dns"];
  const found = problemsOf({ ...WELL, dns, networks: [told] });
  assert.deepEqual(
    found.map(({ code, next }) => [code, next]),
    [
      ["NETWORK_DIFFERS", "tsweave logs --level warn"],
      ["COMMAND_FAILED", "tsweave logs --level warn"],
    ],
  );
  const [dead] = problemsOf({ ...WELL, members: [member("h2", "dead", "192.0.2.2")] });
  assert.match(dead?.next ?? "", /^tsweave ping h2/);
});
