/**
 * Assertions of Weave's smoke tests that apply to us and have no test elsewhere here, each named by
 * what it checks with the number of its origin; the table of all is test/ACCEPTANCE.md. One host
 * has the machine's engine, the other Debian's newest where it can be had.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { allWell } from "../lib/well.ts";

const HOSTS = ["h1", "h2"] as const;
/** Of h1's half of the default subnet. */
const FIXED = "10.33.7.7";
const FOREIGN =
  "add table ip theirs; add chain ip theirs c { type filter hook input priority 5 ; }; " +
  "add rule ip theirs c accept";

const newer = await newerEngine("sid");
let mesh: MeshHosts;
let foreign = "";

const other = (host: string) => (host === "h1" ? "h2" : "h1");
const fetched = async (host: string, from: string, url: string) =>
  (await mesh.inside(host, from, "timeout", "3", "wget", "-qO-", `http://${url}/`)).trim();
const rulesOf = async (host: string) =>
  await mesh.ok(host, ["sh", "-c", "nft list table ip theirs; iptables -S INPUT | grep theirs"]);

/** The addresses that a container of a host has for a name. */
async function answers(host: string, name: string): Promise<string[]> {
  const { stdout } = await mesh.tryInside(host, `web-${host}`, "nslookup", name);
  return [...stdout.matchAll(/^Address.*: (10\.[\d.]+)/gm)].map(([, ip]) => ip ?? "");
}

async function peerId(host: string): Promise<string> {
  return (await mesh.json<{ peer: { id: string } }>(host, "status")).peer.id;
}

async function overlayNamespace(host: string): Promise<string> {
  const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", "tsweave");
  return `tsweave-${id.slice(0, 10)}`;
}

describe("what others' acceptance tests ask for", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { h2: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("accept", { hosts: HOSTS, engineDirs });
    await mesh.ok("h1", ["nft", FOREIGN]);
    const mark = ["-m", "comment", "--comment", "theirs", "-j", "ACCEPT"];
    await mesh.ok("h1", ["iptables", "-I", "INPUT", "-p", "tcp", "--dport", "9", ...mark]);
    foreign = await rulesOf("h1");
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    await Promise.all(HOSTS.map((host) => mesh.web(host, `web-${host}`)));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  for (const host of HOSTS) {
    it(`100: a restart leaves a name one address, which answers (${host})`, async () => {
      await mesh.web(host, "again");
      await mesh.docker(host, "restart", "-t", "0", "again");
      const ip = await mesh.ip(host, "again");
      for (const asker of HOSTS) {
        await eventually("one address", 3000, async () => {
          assert.deepEqual(await answers(asker, "again"), [ip]);
        });
        assert.equal(await fetched(asker, `web-${asker}`, ip), "again");
      }
      await mesh.docker(host, "rm", "-f", "again");
    });

    it(`640: a container killed and started again is back with its names (${host})`, async () => {
      await mesh.web(host, "killed", "--network-alias", "victim");
      await mesh.docker(host, "kill", "-s", "KILL", "killed");
      await eventually("its name is gone", 3000, async () => {
        assert.deepEqual(await answers(other(host), "victim"), []);
      });
      await mesh.docker(host, "start", "killed");
      await eventually("it is back", 3000, async () => {
        assert.equal(await fetched(other(host), `web-${other(host)}`, "victim"), "killed");
      });
      await mesh.docker(host, "rm", "-f", "killed");
    });

    it(`660: --net none, host, bridge and container get nothing of ours (${host})`, async () => {
      const before = (await mesh.endpoints(host)).length;
      const links = ["busybox", "ip", "-o", "link"];
      for (const net of ["none", "bridge"]) {
        const found = await mesh.docker(host, "run", "--rm", "--net", net, ...links);
        assert.doesNotMatch(found, /02:42:0a:2/, net);
      }
      const own = await mesh.ok(host, ["ip", "-o", "link"]);
      const names = (text: string) => [...text.matchAll(/^\d+: (\S+?)[@:]/gm)].map(([, at]) => at);
      const inHost = await mesh.docker(host, "run", "--rm", "--net", "host", ...links);
      assert.deepEqual(names(inHost), names(own));
      const shared = ["run", "--rm", "--net", `container:web-${host}`, ...links];
      const inside = await mesh.inside(host, `web-${host}`, "ip", "-o", "link");
      assert.deepEqual(names(await mesh.docker(host, ...shared)), names(inside));
      assert.equal((await mesh.endpoints(host)).length, before);
    });

    it(`191: bridge down and entries gone while the daemon is dead: mended (${host})`, async () => {
      const [ns, id] = [await overlayNamespace(host), await peerId(host)];
      await mesh.ok(host, ["kill", "-9", String(await mesh.daemonPid(host))]);
      const broken = [
        `ip -n ${ns} link set br0 down`,
        `ip -n ${ns} neigh flush dev vxlan0 nud permanent`,
        `ip -n ${ns} link set vxlan0 nomaster`,
        "nft delete table inet tsweave_guard",
      ];
      await mesh.ok(host, ["sh", "-c", broken.join("; ")]);
      const far = await mesh.ip(other(host), `web-${other(host)}`);
      await mesh.launch(host, mesh.addresses(host));
      await eventually("reached", 5000, async () => {
        assert.equal(await fetched(host, `web-${host}`, far), `web-${other(host)}`);
      });
      await mesh.ok(host, ["nft", "list", "table", "inet", "tsweave_guard"]);
      assert.equal(await peerId(host), id, "390: it is the peer that it was");
    });
  }

  it("300: an address given to a new container is reached at once by who knew it", async () => {
    assert.equal(await mesh.web("h1", "first", "--ip", FIXED), FIXED);
    for (const host of HOSTS) assert.equal(await fetched(host, `web-${host}`, FIXED), "first");
    await mesh.docker("h1", "rm", "-f", "first");
    assert.equal(await mesh.web("h1", "second", "--ip", FIXED), FIXED);
    for (const host of HOSTS) assert.equal(await fetched(host, `web-${host}`, FIXED), "second");
    await mesh.docker("h1", "rm", "-f", "second");
  });

  it("820: a network of a subnet: --ip is kept, the next comes of itself, names pass", async () => {
    const create = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];
    await mesh.docker("h1", ...create, "--subnet", "10.77.0.0/16", "other");
    await eventually("it is everywhere", 10_000, () =>
      mesh.docker("h2", "network", "inspect", "other"),
    );
    assert.equal(await mesh.web("h1", "one", "--net", "other", "--ip", "10.77.0.9"), "10.77.0.9");
    const next = await mesh.web("h2", "two", "--net", "other");
    assert.match(next, /^10\.77\./);
    assert.notEqual(next, "10.77.0.9");
    assert.equal(await fetched("h1", "one", "two"), "two");
    assert.equal(await fetched("h2", "two", "one"), "one");
    await mesh.docker("h1", "rm", "-f", "one");
    await mesh.docker("h2", "rm", "-f", "two");
    await mesh.docker("h1", "network", "rm", "other");
  });

  it("510: what cleans up waits for no other host", async () => {
    await mesh.lone("h1", "lone");
    for (const args of [["attach", "lone"], ["expose"], ["dns-add", "printer", "198.51.100.7"]]) {
      const { code, stderr } = await mesh.cli("h1", ...args);
      assert.equal(code, 0, stderr);
    }
    await mesh.lab.partition([["h1"], ["h2"]]);
    try {
      const startMs = Date.now();
      for (const args of [["detach", "lone"], ["hide"], ["dns-remove", "printer"]]) {
        const { code, stderr } = await mesh.cli("h1", ...args);
        assert.equal(code, 0, `${args}: ${stderr}`);
      }
      assert.ok(Date.now() - startMs < 15_000, `${Date.now() - startMs} ms`);
    } finally {
      await mesh.lab.heal();
    }
    await mesh.docker("h1", "rm", "-f", "lone");
  });

  it("362: a launch with another range ends at once, and says what helps", async (t) => {
    await allWell(mesh, HOSTS);
    assert.equal((await mesh.cli("h2", "stop")).code, 0);
    const startMs = Date.now();
    const launched = await mesh.cli(
      "h2",
      "launch",
      "--ipalloc-range",
      "10.99.0.0/16",
      mesh.address("h1"),
    );
    t.diagnostic(`exit ${launched.code} after ${Date.now() - startMs} ms: ${launched.stderr}`);
    assert.ok(Date.now() - startMs < 30_000);
    assert.equal(launched.code, 2);
    assert.match(
      launched.stderr,
      /has subnet 10\.32.*launch with --ipalloc-range 10\.32\.0\.0\/12/,
    );
    await mesh.launch("h2", mesh.addresses("h2"));
    await mesh.web("h2", "after-range");
    assert.equal(await fetched("h1", "web-h1", "after-range"), "after-range");
  });

  it("840, 390: rules of others are as they were; after a reset it is a new peer", async () => {
    const id = await peerId("h1");
    assert.equal(await rulesOf("h1"), foreign);
    await mesh.docker("h1", "rm", "-f", "web-h1");
    const reset = await mesh.cli("h1", "reset", "--yes");
    assert.equal(reset.code, 0, reset.stderr);
    assert.equal(await rulesOf("h1"), foreign);
    assert.doesNotMatch(await mesh.ok("h1", ["nft", "list", "tables"]), /tsweave/);
    await mesh.launch("h1", mesh.addresses("h1"));
    assert.notEqual(await peerId("h1"), id);
  });
});
