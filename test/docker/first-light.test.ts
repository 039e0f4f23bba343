/** The main job on real engines: three hosts, plain docker run, every container by name. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2", "h3"] as const;
const CONTAINERS = [
  ["h1", "web1"],
  ["h1", "db1"],
  ["h2", "web2"],
  ["h2", "db2"],
  ["h3", "web3"],
  ["h3", "db3"],
] as const;

let mesh: MeshHosts;
const ips = new Map<string, string>();

/** Name of the overlay namespace of the network on a host. */
async function netns(host: string, network = "tsweave"): Promise<string> {
  const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", network);
  return `tsweave-${id.slice(0, 10)}`;
}

describe("first light", () => {
  before(async () => {
    mesh = await MeshHosts.up("first", HOSTS);
    for (const [host, name] of CONTAINERS) ips.set(name, await mesh.web(host, name));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("gives each container one address of one flat subnet", () => {
    assert.equal(new Set(ips.values()).size, CONTAINERS.length);
    for (const ip of ips.values()) assert.match(ip, /^10\.(3[2-9]|4[0-7])\.\d+\.\d+$/);
  });

  it("lets every container ping every other by address and by name", async () => {
    for (const [host, from] of CONTAINERS) {
      const script = CONTAINERS.filter(([, to]) => to !== from)
        .map(([, to]) => `ping -c1 -W2 ${ips.get(to)} && ping -c1 -W2 ${to}`)
        .join(" && ");
      await mesh.inside(host, from, "sh", "-c", script);
    }
  });

  it("resolves with nslookup, and serves HTTP by name across hosts", async () => {
    const answer = await mesh.inside("h1", "web1", "nslookup", "web3");
    assert.match(answer, new RegExp(`Address[^\\n]*${ips.get("web3")}`));
    assert.equal(await mesh.inside("h1", "web1", "wget", "-qO-", "http://web3/"), "web3");
    assert.equal(await mesh.inside("h3", "db3", "wget", "-qO-", "http://web2.tsweave/"), "web2");
  });

  it("carries 10 MB over TCP whole", async () => {
    const make = "dd if=/dev/urandom of=/www/big bs=1M count=10 2>/dev/null; md5sum < /www/big";
    const sent = await mesh.inside("h2", "web2", "sh", "-c", make);
    const got = await mesh.inside("h1", "db1", "sh", "-c", "wget -qO- http://web2/big | md5sum");
    assert.equal(got, sent);
  });

  it("shows eth0 on the overlay, eth1 on docker_gwbridge, and the routes between", async () => {
    const links = await mesh.inside("h1", "web1", "ip", "link");
    assert.match(links, /eth0@[^\n]*mtu 1450/);
    assert.match(links, /eth1@[^\n]*mtu 1500/);
    const routes = await mesh.inside("h1", "web1", "ip", "route");
    assert.match(routes, /default via \S+ dev eth1/);
    assert.match(routes, /10\.32\.0\.0\/12 dev eth0/);
    const rules = await mesh.ok("h1", ["iptables-save", "-t", "nat"]);
    assert.match(rules, /-A POSTROUTING -s \S+ ! -o docker_gwbridge -j MASQUERADE/);
    const outside = await mesh.inside("h1", "web1", "wget", "-qO-", "http://outside.example/");
    assert.ok(outside.length > 0);
  });

  it("gives an internal network neither eth1 nor a default route, but names", async () => {
    const create = ["network", "create", "quiet", "--internal", "--subnet", "10.99.0.0/16"];
    const made = await mesh.cli("h1", ...create);
    assert.equal(made.code, 0, made.stderr);
    await mesh.web("h1", "quiet1", "--net", "quiet");
    await mesh.web("h2", "quiet2", "--net", "quiet");
    const links = await mesh.inside("h1", "quiet1", "ip", "link");
    assert.doesNotMatch(links, /eth1/);
    assert.doesNotMatch(await mesh.inside("h1", "quiet1", "ip", "route"), /default/);
    assert.equal(await mesh.inside("h1", "quiet1", "wget", "-qO-", "http://quiet2/"), "quiet2");
    const other = await mesh.tryInside("h1", "quiet1", "nslookup", "web1");
    assert.notEqual(other.code, 0, "a name of another network is not visible");
    for (const [host, name] of [
      ["h1", "quiet1"],
      ["h2", "quiet2"],
    ] as const) {
      await mesh.docker(host, "rm", "-f", name);
    }
    await mesh.docker("h1", "network", "rm", "quiet");
  });

  it("programs br0, vxlan0, PERMANENT neighbours and FDB entries in the namespace", async () => {
    const ns = await netns("h1");
    const links = await mesh.ok("h1", ["ip", "-n", ns, "-d", "link"]);
    assert.match(links, /br0:/);
    assert.equal(links.match(/veth[0-9a-f]{7}@/g)?.length, 2);
    assert.match(links, /vxlan id 256 .*dstport 4789 .*proxy .*l2miss l3miss/);
    const neigh = await mesh.ok("h1", ["ip", "-n", ns, "neigh", "show", "dev", "vxlan0"]);
    const fdb = await mesh.ok("h1", ["bridge", "-n", ns, "fdb", "show", "dev", "vxlan0"]);
    const local = new Set<string>(["web1", "db1"]);
    for (const endpoint of await mesh.endpoints("h1")) {
      const entry = new RegExp(`^${endpoint.ip} lladdr ${endpoint.mac} PERMANENT`, "m");
      const route = new RegExp(`^${endpoint.mac} dst ${endpoint.vtep} .*self permanent`, "m");
      assert.equal(endpoint.local, local.has(endpoint.name), endpoint.name);
      assert.equal(entry.test(neigh), !endpoint.local, neigh);
      assert.equal(route.test(fdb), !endpoint.local, fdb);
    }
  });

  it("sends VXLAN on 4789 and no ARP of container addresses over the LAN", async () => {
    const capture = ["timeout", "3", "tcpdump", "-nn", "-l", "-i", "eth0", "udp port 4789 or arp"];
    const dump = mesh.exec("h1", capture);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await mesh.inside("h1", "web1", "ping", "-c2", "web2");
    const { stdout } = await dump;
    assert.match(stdout, /\.4789: VXLAN, flags \[I\] .*vni 256/);
    for (const ip of ips.values()) {
      assert.doesNotMatch(stdout, new RegExp(`ARP.*${ip.replaceAll(".", "\\.")}`));
    }
  });

  it("forgets a removed container everywhere within a second", async () => {
    const ns = await netns("h1");
    const gone = ips.get("db3") ?? "";
    await mesh.docker("h3", "rm", "-f", "db3");
    await eventually("db3 is gone on h1", 1000, async () => {
      const neigh = await mesh.ok("h1", ["ip", "-n", ns, "neigh", "show", "dev", "vxlan0"]);
      assert.doesNotMatch(neigh, new RegExp(`^${gone} `, "m"));
    });
    assert.notEqual((await mesh.tryInside("h1", "web1", "nslookup", "db3")).code, 0);
    ips.set("db3", await mesh.web("h3", "db3"));
    await mesh.inside("h1", "web1", "ping", "-c1", "-W2", "db3");
  });

  it("follows a rename", async () => {
    await mesh.docker("h3", "rename", "db3", "store3");
    await eventually("store3 resolves on h1", 1500, () =>
      mesh.inside("h1", "web1", "nslookup", "store3"),
    );
    assert.notEqual((await mesh.tryInside("h1", "web1", "nslookup", "db3")).code, 0);
    await mesh.docker("h3", "rename", "store3", "db3");
  });

  it("admits a fourth host that names one peer only", async () => {
    await mesh.lab.addHost("h4");
    await mesh.launch("h4", [mesh.address("h2")]);
    const ip = await mesh.web("h4", "web4");
    assert.ok(![...ips.values()].includes(ip));
    assert.equal(await mesh.inside("h4", "web4", "wget", "-qO-", "http://web1/"), "web1");
    assert.equal(await mesh.inside("h3", "web3", "wget", "-qO-", "http://web4/"), "web4");
    const { peers } = await mesh.json<{ peers: { state: string }[] }>("h4", "status", "peers");
    assert.deepEqual(
      peers.map(({ state }) => state),
      ["alive", "alive", "alive", "alive"],
    );
  });

  it("loses no packet when a daemon is killed, and catches up after", async () => {
    const before = (await mesh.endpoints("h2")).filter(({ local }) => local);
    const ping = mesh.inside("h1", "web1", "ping", "-c", "60", "-i", "0.1", ips.get("web2") ?? "");
    await mesh.ok("h2", ["kill", "-9", String(await mesh.daemonPid("h2"))]);
    await mesh.ok("h2", ["docker", "rm", "-f", "db2"], 90_000);
    assert.match(await ping, / 0% packet loss/);
    await mesh.launch("h2", mesh.addresses("h2"));
    await eventually("h2 has only web2", 5000, async () => {
      const now = (await mesh.endpoints("h2")).filter(({ local }) => local);
      assert.deepEqual(
        now.map(({ name, ip }) => `${name} ${ip}`),
        before.filter(({ name }) => name === "web2").map(({ name, ip }) => `${name} ${ip}`),
      );
    });
    await eventually("db2 is gone on h1", 5000, async () => {
      assert.notEqual((await mesh.tryInside("h1", "web1", "nslookup", "db2")).code, 0);
    });
    ips.set("db2", await mesh.web("h2", "db2"));
    assert.equal(await mesh.inside("h2", "web2", "wget", "-qO-", "http://db2/"), "db2");
    assert.equal(await mesh.inside("h3", "web3", "wget", "-qO-", "http://db2/"), "db2");
    const veths = await mesh.ok("h2", ["ip", "-n", await netns("h2"), "link"]);
    assert.equal(veths.match(/veth[0-9a-f]{7}@/g)?.length, 2);
    assert.doesNotMatch(await mesh.ok("h2", ["ip", "link"]), /tswc/);
  });
});
