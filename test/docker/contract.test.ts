/**
 * What Docker's own tests hold remote network drivers to, and has no test elsewhere here: addresses
 * kept and moved, connect and disconnect of containers that run and that do not, ports while
 * networks come and go, what inspect and ps say. LONG_RUN=1: also on Debian's newest engine.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { UNLESS_LONG } from "../lib/long-run.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { allWell } from "../lib/well.ts";

const HOSTS = ["h1", "h2", "h3"] as const;
/** Within h1's part of the default subnet, near its end. */
const MOVED = "10.37.85.9";

const newer = await newerEngine("sid");
let mesh: MeshHosts;
let otherSince = 0;

async function reaches(host: string, from: string, ip: string): Promise<boolean> {
  return (await mesh.tryInside(host, from, "ping", "-c1", "-W1", ip)).code === 0;
}

async function netns(host: string): Promise<string> {
  const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", "tsweave");
  return `tsweave-${id.slice(0, 10)}`;
}

async function addressOn(host: string, container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return await mesh.docker(host, "inspect", "-f", format, container);
}

describe("Docker's contract with a network driver", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { h2: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("contract", { hosts: HOSTS, engineDirs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    for (const host of HOSTS) await mesh.web(host, `web-${host}`);
    const made = await mesh.cli("h1", "network", "create", "side", "--subnet", "10.76.0.0/16");
    assert.equal(made.code, 0, made.stderr);
    for (const host of HOSTS) {
      await eventually("side is there", 10_000, () =>
        mesh.docker(host, "network", "inspect", "side"),
      );
    }
    assert.equal(await mesh.web("h1", "moves", "--ip", MOVED), MOVED);
    assert.ok(await reaches("h3", "web-h3", MOVED));
    await mesh.docker("h1", "rm", "-f", "moves");
    otherSince = Date.now();
  });
  after(async () => {
    await mesh?.lab.down();
  });

  for (const host of ["h1", "h2"] as const) {
    describe(`engine of ${host}`, { skip: host === "h2" && UNLESS_LONG }, () => {
      it("inspect tells the driver's MAC and address, ps the ports", async () => {
        const ip = await mesh.web(host, "told", "--expose", "9000", "-p", "8085:80");
        const format = "{{range .NetworkSettings.Networks}}{{.MacAddress}} {{.Gateway}}{{end}}";
        const [mac] = (await mesh.docker(host, "inspect", "-f", format, "told")).split(" ");
        const hex = ip.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
        assert.equal(mac, `02:42:${hex.join(":")}`);
        assert.match(await mesh.inside(host, "told", "ip", "link", "show", "eth0"), /02:42:0a/);
        const ports = await mesh.docker(host, "ps", "-f", "name=told", "--format", "{{.Ports}}");
        assert.match(ports, /:8085->80\/tcp/);
        assert.match(ports, /9000\/tcp/);
        await mesh.docker(host, "rm", "-f", "told");
      });

      it("-P publishes what is exposed on a port of Docker's choice", async () => {
        await mesh.web(host, "all", "--expose", "80", "-P");
        const [first = ""] = (await mesh.docker(host, "port", "all", "80/tcp")).split("\n");
        const port = /:(\d+)$/.exec(first)?.[1];
        const url = `http://${mesh.address(host)}:${port}/`;
        await eventually("the port is open", 3000, async () => {
          assert.equal(await mesh.ok("h3", ["busybox", "wget", "-qO-", url]), "all\n");
        });
        await mesh.docker(host, "rm", "-f", "all");
      });

      it("a network is found by its id, by a part of it, and by name", async () => {
        const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", "tsweave");
        for (const net of [id, id.slice(0, 12)]) {
          const run = ["run", "--rm", "--net", net, "busybox", "ping", "-c1", "-W2", "web-h3"];
          await mesh.docker(host, ...run);
        }
      });

      it("a MAC of the user's own is kept, and reached from elsewhere", async () => {
        const flags = ["--mac-address", "02:00:5e:00:00:77"];
        // The command line sends it as engines from 25 on want it; 20.10 reads it from elsewhere.
        const run = await mesh.exec(host, [
          ...["docker", "run", "-d", "--net", "tsweave", "--name", "mac", "--stop-timeout", "0"],
          ...[...flags, "busybox", "sleep", "999"],
        ]);
        if (run.code === 0) {
          assert.match(await mesh.inside(host, "mac", "ip", "link"), /02:00:5e:00:00:77/);
          assert.ok(await reaches("h3", "web-h3", await mesh.ip(host, "mac")));
        } else assert.match(run.stderr, /API version/);
        await mesh.exec(host, ["docker", "rm", "-f", "mac"]);
      });

      it("--ip given to connect is kept over stop and start, and over a restart", async () => {
        const ip = host === "h1" ? "10.76.200.1" : "10.76.200.2";
        await mesh.web(host, "kept");
        await mesh.docker(
          host,
          "network",
          "connect",
          "--ip",
          ip,
          "--alias",
          "also",
          "side",
          "kept",
        );
        assert.equal(await addressOn(host, "kept", "side"), ip);
        await mesh.docker(host, "restart", "-t", "1", "kept");
        assert.equal(await addressOn(host, "kept", "side"), ip);
        await mesh.docker(host, "stop", "kept");
        await mesh.docker(host, "start", "kept");
        assert.equal(await addressOn(host, "kept", "side"), ip);
        await mesh.docker("h3", "network", "connect", "side", "web-h3");
        assert.equal(await mesh.inside("h3", "web-h3", "wget", "-qO-", "http://also/"), "kept");
        await mesh.docker(host, "network", "disconnect", "side", "kept");
        await eventually("the alias goes with the network", 2000, async () => {
          assert.notEqual((await mesh.tryInside("h3", "web-h3", "nslookup", "also")).code, 0);
        });
        assert.ok(await reaches("h3", "web-h3", await addressOn(host, "kept", "tsweave")));
        await mesh.docker("h3", "network", "disconnect", "side", "web-h3");
        await mesh.docker(host, "rm", "-f", "kept");
      });

      it("a stopped container is connected and disconnected, over an engine restart", async () => {
        await mesh.web(host, "idle");
        await mesh.docker(host, "stop", "idle");
        await mesh.docker(host, "network", "connect", "side", "idle");
        await mesh.docker(host, "network", "disconnect", "tsweave", "idle");
        await mesh.docker(host, "network", "connect", "tsweave", "idle");
        await mesh.docker(host, "stop", "-t", "1", `web-${host}`);
        await mesh.lab.host(host).stopEngine();
        await mesh.lab.host(host).startEngine();
        await mesh.docker(host, "start", "idle", `web-${host}`);
        assert.match(await addressOn(host, "idle", "side"), /^10\.76\./);
        assert.equal(await mesh.inside("h3", "web-h3", "wget", "-qO-", "http://idle/"), "idle");
        await mesh.docker(host, "rm", "-f", "idle");
      });

      it("published ports stay while networks come and go under a container", async () => {
        await mesh.web(host, "open", "-p", "8086:80");
        const url = `http://${mesh.address(host)}:8086/`;
        const served = async () => {
          await eventually("the port is open", 3000, async () => {
            assert.equal(await mesh.ok("h3", ["busybox", "wget", "-qO-", url]), "open\n");
          });
          assert.match(await mesh.docker(host, "port", "open"), /80\/tcp -> 0\.0\.0\.0:8086/);
        };
        await served();
        await mesh.docker(host, "network", "connect", "bridge", "open");
        await served();
        await mesh.docker(host, "network", "disconnect", "tsweave", "open");
        await served();
        await mesh.docker(host, "network", "connect", "tsweave", "open");
        await mesh.docker(host, "network", "disconnect", "bridge", "open");
        await served();
        assert.equal(await mesh.inside("h3", "web-h3", "wget", "-qO-", "http://open/"), "open");
        await mesh.docker(host, "rm", "-f", "open");
      });

      it("files of a container do not change when others come", async () => {
        const files = () =>
          mesh.inside(host, `web-${host}`, "cat", "/etc/hosts", "/etc/resolv.conf");
        const former = await files();
        await mesh.web(host, "newcomer", "--network-alias", "fresh");
        assert.equal(await files(), former);
        await mesh.docker(host, "rm", "-f", "newcomer");
      });

      it("a link-local address beside ours is Docker's affair", async () => {
        await mesh.web(host, "local", "--link-local-ip", "169.254.9.9");
        assert.match(await mesh.inside(host, "local", "ip", "addr"), /169\.254\.9\.9/);
        assert.equal(await mesh.inside("h3", "web-h3", "wget", "-qO-", "http://local/"), "local");
        await mesh.docker(host, "rm", "-f", "local");
      });
    });
  }

  it("a wrong entry costs only its own direction, and is put right", async (t) => {
    const [ns, target] = [await netns("h1"), await mesh.ip("h1", "web-h1")];
    const mac = (await mesh.endpoints("h1")).find(({ name }) => name === "web-h2")?.mac ?? "";
    const pid = await mesh.daemonPid("h1");
    const fdb = async () =>
      await mesh.ok("h1", ["bridge", "-n", ns, "fdb", "show", "dev", "vxlan0"]);
    await mesh.ok("h1", ["kill", "-STOP", String(pid)]);
    try {
      const to = ["dev", "vxlan0", "dst", mesh.address("h3"), "self", "permanent"];
      await mesh.ok("h1", ["bridge", "-n", ns, "fdb", "replace", mac, ...to]);
      const dump = await mesh.lab
        .host("h1")
        .spawn([
          ...["ip", "netns", "exec", ns, "tcpdump", "-nn", "-l", "--immediate-mode", "-i", "br0"],
          ...["-Z", "root", "icmp[icmptype] == icmp-echo"],
        ]);
      await dump.waitForOutput(/listening on/);
      await mesh.tryInside("h2", "web-h2", "ping", "-c3", "-i0.2", "-W1", target);
      await dump.stop();
      assert.ok(
        dump.lines.filter((line) => line.includes("echo request")).length >= 3,
        dump.output,
      );
    } finally {
      await mesh.ok("h1", ["kill", "-CONT", String(pid)]);
    }
    const startMs = Date.now();
    await eventually("it is put right", 32_000, async () => {
      const dsts = [...(await fdb()).matchAll(new RegExp(`${mac} dst (\\S+)`, "g"))];
      assert.deepEqual(
        dsts.map(([, dst]) => dst),
        [mesh.address("h2")],
      );
    });
    t.diagnostic(`put right after ${Date.now() - startMs} ms`);
    assert.ok(await reaches("h2", "web-h2", target));
  });

  it("an address that moves to another host is found there at once, by one entry", async (t) => {
    const moved = await eventually("its rest is over", 60_000, () =>
      mesh.web("h2", `moves-${Date.now() - otherSince}`, "--ip", MOVED),
    );
    assert.equal(moved, MOVED);
    const startMs = Date.now();
    await eventually("h3 reaches it", 1000, async () => {
      assert.ok(await reaches("h3", "web-h3", MOVED));
    });
    t.diagnostic(`reached ${Date.now() - startMs} ms after docker run`);
    const ns = await netns("h3");
    const neigh = await mesh.ok("h3", ["ip", "-n", ns, "neigh", "show", "dev", "vxlan0", MOVED]);
    const mac = /lladdr (\S+)/.exec(neigh)?.[1];
    const fdb = await mesh.ok("h3", ["bridge", "-n", ns, "fdb", "show", "dev", "vxlan0"]);
    const dsts = [...fdb.matchAll(new RegExp(`${mac} dst (\\S+)`, "g"))].map(([, dst]) => dst);
    assert.deepEqual(dsts, [mesh.address("h2")]);
    await allWell(mesh, HOSTS);
  });
});
