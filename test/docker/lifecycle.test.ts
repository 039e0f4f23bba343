/** Everyday Docker on the network: published ports, first lookups, aliases, stop and launch. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2"] as const;

let mesh: MeshHosts;

describe("containers on the network", () => {
  before(async () => {
    mesh = await MeshHosts.up("life", HOSTS);
    await mesh.web("h1", "web1");
    await mesh.web("h2", "web2");
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("publishes ports on the host, as on any Docker network", async () => {
    await mesh.web("h1", "public", "-p", "8080:80");
    const url = `http://${mesh.address("h1")}:8080/`;
    assert.equal(await mesh.ok("h2", ["busybox", "wget", "-qO-", url]), "public\n");
    assert.match(await mesh.docker("h1", "port", "public"), /80\/tcp -> 0\.0\.0\.0:8080/);
  });

  it("answers the first instruction of a new container", async () => {
    for (let round = 0; round < 10; round += 1) {
      const run = ["run", "--rm", "--net", "tsweave", "busybox", "nslookup", "web2"];
      assert.match(await mesh.docker("h1", ...run), /Name:\s+web2/, `round ${round}`);
    }
  });

  it("can be reached from its first instruction", async () => {
    for (let round = 0; round < 5; round += 1) {
      const run = ["run", "--rm", "--net", "tsweave", "busybox"];
      await mesh.docker("h2", ...run, "ping", "-c1", "-W1", "web1");
    }
  });

  it("answers an alias that lives on two hosts with both addresses", async () => {
    const ips = [
      await mesh.web("h1", "api1", "--network-alias", "api"),
      await mesh.web("h2", "api2", "--network-alias", "api"),
    ];
    await eventually("both answer", 2000, async () => {
      const answer = await mesh.inside("h1", "web1", "nslookup", "api");
      for (const ip of ips) assert.ok(answer.includes(ip), answer);
    });
  });

  it("gives the address that --ip asks for, and refuses one in use elsewhere", async () => {
    const free = "10.47.255.7";
    assert.equal(await mesh.web("h2", "fixed", "--ip", free), free);
    const taken = await mesh.exec("h1", [
      ...["docker", "run", "-d", "--net", "tsweave", "--ip", free, "busybox", "sleep", "60"],
    ]);
    assert.notEqual(taken.code, 0);
    assert.match(taken.stderr, /10\.47\.255\.7/);
  });

  it("keeps containers talking while stopped, and takes over again when launched", async () => {
    const ip = await mesh.ip("h2", "web2");
    const ping = mesh.inside("h1", "web1", "ping", "-c", "40", "-i", "0.1", ip);
    const stopped = await mesh.cli("h2", "stop");
    assert.equal(stopped.code, 0, stopped.stderr);
    await eventually("h1 sees that h2 left", 2000, async () => {
      const { peers } = await mesh.json<{ peers: { name: string; state: string }[] }>(
        "h1",
        "status",
        "peers",
      );
      assert.equal(peers.find(({ name }) => name === "h2")?.state, "left");
    });
    assert.notEqual((await mesh.cli("h2", "status")).code, 0);
    const plugins = await mesh.ok("h2", ["ls", "/run/docker/plugins"]);
    assert.doesNotMatch(plugins, /tsweave/, "no stale plugin socket");
    await mesh.launch("h2", mesh.addresses("h2"));
    assert.match(await ping, / 0% packet loss/);
    await eventually("names are back", 3000, async () => {
      assert.equal(await mesh.inside("h1", "web1", "wget", "-qO-", "http://web2/"), "web2");
      assert.equal(await mesh.inside("h2", "web2", "wget", "-qO-", "http://web1/"), "web1");
    });
  });

  it("says that its network was removed, and how to make it again", async () => {
    const problems = async () => {
      const { health } = await mesh.json<{
        health: { problems: { code: string; next: string }[] };
      }>("h9", "status");
      return health.problems;
    };
    await mesh.lab.addHost("h9");
    await mesh.launch("h9", [mesh.address("h1")]);
    await mesh.docker("h9", "network", "rm", "tsweave");
    const missing = await eventually("it says so", 3000, async () => {
      const found = (await problems()).find(({ code }) => code === "NETWORK_MISSING");
      assert.ok(found);
      return found;
    });
    await mesh.ok("h9", missing.next.split(" "));
    await eventually("all is well", 3000, async () => assert.deepEqual(await problems(), []));
    await mesh.web("h9", "web9");
    assert.equal(await mesh.inside("h1", "web1", "wget", "-qO-", "http://web9/"), "web9");
  });

  it("takes over what runs when the state directory is lost", async () => {
    const ip = await mesh.ip("h9", "web9");
    const before = await mesh.daemonPid("h9");
    await mesh.ok("h9", ["sh", "-c", `kill -9 ${before}; rm -r /var/lib/tsweave/*`]);
    await mesh.launch("h9", [mesh.address("h1")]);
    await eventually("its container is a row of the new peer", 5000, async () => {
      const rows = (await mesh.endpoints("h9")).filter(({ local }) => local);
      assert.deepEqual(
        rows.map((row) => [row.name, row.ip]),
        [["web9", ip]],
      );
    });
    await mesh.web("h9", "next9");
    assert.notEqual(await mesh.ip("h9", "next9"), ip);
    await eventually("both are reached by name", 3000, async () => {
      for (const name of ["web9", "next9"]) {
        assert.equal(await mesh.inside("h1", "web1", "wget", "-qO-", `http://${name}/`), name);
      }
    });
    const { health } = await mesh.json<{ health: { problems: { code: string }[] } }>(
      "h1",
      "status",
    );
    assert.deepEqual(health.problems, [], "the former peer of this host is no problem");
  });

  it("connects a host that was launched with a peer that does not exist", async () => {
    await mesh.lab.addHost("h8");
    const nobody = mesh.address("h8").replace(/\.\d+$/, ".250");
    await mesh.launch("h8", [nobody]);
    const lonely = await mesh.exec("h8", [
      ...["docker", "run", "-d", "--net", "tsweave", "busybox", "sleep", "60"],
    ]);
    assert.notEqual(lonely.code, 0);
    assert.match(lonely.stderr, new RegExp(nobody.replaceAll(".", "\\.")), "says who is missing");
    const { code, stderr } = await mesh.cli("h8", "connect", mesh.address("h1"));
    assert.equal(code, 0, stderr);
    await eventually("h8 has addresses", 5000, () => mesh.web("h8", "web8"));
    assert.equal(await mesh.inside("h8", "web8", "wget", "-qO-", "http://web2/"), "web2");
  });
});
