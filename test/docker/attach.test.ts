/** Containers attached by hand: one without any network, one on a second network. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

interface PsJson {
  readonly endpoints: readonly {
    readonly kind: string;
    readonly target: string;
    readonly ip: string;
    readonly network: string;
    readonly interface: string | null;
  }[];
}

let mesh: MeshHosts;

async function attached(): Promise<PsJson["endpoints"]> {
  const { endpoints } = await mesh.json<PsJson>("h1", "ps");
  return endpoints.filter(({ kind }) => kind !== "docker");
}

async function tsweave(...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await mesh.cli("h1", ...args);
  assert.equal(code, 0, `tsweave ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

before(async () => {
  mesh = await MeshHosts.up("attach", ["h1", "h2"]);
  await mesh.web("h2", "web2");
});

after(async () => {
  await mesh?.lab.down();
});

test("a container without a network gets one, with names and a way outside", async () => {
  await mesh.lone("h1", "lone");
  const ip = await tsweave("attach", "lone", "--name", "lone", "--name", "solo");
  for (const name of ["lone", "solo"]) {
    const answer = await mesh.inside("h2", "web2", "nslookup", name);
    assert.ok(answer.includes(ip), answer);
  }
  await mesh.inside("h2", "web2", "ping", "-c1", "-W2", "lone");
  const answer = await mesh.inside("h1", "lone", "nslookup", "web2", "127.0.0.11");
  assert.match(answer, /Name:\s+web2/);
  // Docker's firewall drops what Docker did not make, but for its users' rules.
  await mesh.inside("h1", "lone", "ping", "-c1", "-W3", "198.51.100.1");
  const twice = await mesh.cli("h1", "attach", "web2");
  assert.equal(twice.code, 5, twice.stderr);

  await mesh.docker("h1", "restart", "-t", "1", "lone");
  await eventually("its namespace was another one", 15_000, async () => {
    assert.deepEqual(await attached(), []);
  });
  const rules = await mesh.ok("h1", ["iptables", "-S", "DOCKER-USER"]);
  await eventually("its bridge is gone", 5000, async () => {
    assert.ok(!(await mesh.ok("h1", ["ip", "link"])).includes("tsweave_gw"));
    assert.ok(!(await mesh.ok("h1", ["iptables", "-S", "DOCKER-USER"])).includes("tsweave"), rules);
  });
});

test("a container of Docker gets a second network, and keeps Docker's names", async () => {
  await mesh.web("h1", "web1");
  const driver = ["-d", "tsweave", "--ipam-driver", "tsweave"];
  await mesh.docker("h1", "network", "create", ...driver, "--subnet", "10.60.0.0/16", "back");
  const refused = await mesh.cli("h1", "attach", "web1");
  assert.match(refused.stderr, /Docker has web1 on network tsweave .*docker network disconnect/);
  const ip = await tsweave("attach", "web1", "--network", "back");
  assert.match(ip, /^10\.60\./);
  const [row] = await attached();
  assert.deepEqual([row?.interface, row?.network, row?.target], ["eth2", "back", "web1"]);
  await mesh.docker("h1", "run", "--rm", "--net", "back", "busybox", "ping", "-c1", "-W2", "web1");
  await mesh.inside("h1", "web1", "nslookup", "web2");
  await mesh.inside("h1", "web1", "nslookup", "outside.example");
  await tsweave("netns", "web1", "--", "ip", "link", "show", "eth2");
  await tsweave("detach", "web1");
  const devices = await mesh.inside("h1", "web1", "ip", "link");
  assert.ok(!devices.includes("eth2") && devices.includes("eth0"), devices);
  await mesh.inside("h1", "web1", "nslookup", "web2");
  await mesh.docker("h1", "network", "rm", "back");
});
