/**
 * Names on real engines: every record and spelling from another host, services from outside,
 * health, the host's own listener, and exact answers under churn.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BUNDLE, eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { ASKER, NameAskers, type Question, type Reply } from "../lib/name-askers.ts";

const HOSTS = ["h1", "h2", "h3"] as const;
type Host = (typeof HOSTS)[number];

const TSWEAVE = [process.execPath, BUNDLE];
/** Addresses under one name that no UDP reply of 512 bytes holds. */
const CROWD = 50;
const CHURN_ROUNDS = 5;
/** From the end of a docker command until every host answers accordingly. */
const FOLLOW_MS = 1000;
type Live = ReadonlyMap<string, string>;

let mesh: MeshHosts;
let askers: NameAskers;

const ask = (host: Host, ...questions: Question[]) => askers.ask(host, ...questions);
const lines = (host: Host, ...questions: Question[]) => askers.lines(host, ...questions);
const exactly = (
  name: string,
  wanted: ReadonlyMap<string, string>,
  withinMs: number,
  hosts: readonly Host[] = HOSTS,
) => askers.exactly(name, wanted, withinMs, hosts);

const reversed = (ip: string) => `${ip.split(".").reverse().join(".")}.in-addr.arpa`;

describe("names", () => {
  before(async () => {
    mesh = await MeshHosts.up("dns", HOSTS);
    const back = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];
    for (const host of ["h1", "h2"]) {
      await mesh.docker(host, ...back, "--subnet", "10.80.0.0/16", "back");
    }
    askers = new NameAskers(mesh);
    await Promise.all(HOSTS.map((host) => askers.start(host)));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("has every spelling and every record of a container, on all hosts", async () => {
    const flags = ["--hostname", "shop-host", "--network-alias", "Shop", "--expose", "8080"];
    const ip = await mesh.web("h1", "web1", ...flags, "--expose", "53/udp");
    const id = (await mesh.docker("h1", "inspect", "-f", "{{.Id}}", "web1")).slice(0, 12);
    const names = ["web1", "WEB1", "shop", id, "shop-host", "web1.tsweave", "shop.Tsweave.Local"];
    for (const host of HOSTS) {
      await eventually(`${host} has all names`, 3000, async () => {
        const found = await lines(host, ...names.map((name) => ({ name })));
        assert.deepEqual(found, Array(names.length).fill(`NOERROR ${ip}`));
      });
    }
    const [pointer, unknown, service, services, none] = await lines(
      "h3",
      { name: reversed(ip), type: "PTR" },
      { name: reversed("10.47.255.200"), type: "PTR" },
      { name: "_8080._tcp.web1", type: "SRV" },
      { name: "shop", type: "SRV" },
      { name: "_81._tcp.web1", type: "SRV" },
    );
    assert.equal(pointer, "NOERROR web1.tsweave");
    assert.equal(unknown, "NXDOMAIN");
    assert.equal(service, `NOERROR ${id}.tsweave:8080`);
    assert.equal(services, `NOERROR ${id}.tsweave:53 ${id}.tsweave:8080`);
    assert.equal(none, "NXDOMAIN");
    const empty = await ask(
      "h2",
      ...["AAAA", "MX", "TXT"].map((type) => ({ name: "web1.tsweave.local", type })),
    );
    for (const { rcode, answers, soa } of empty) {
      assert.deepEqual([rcode, answers, soa], ["NOERROR", [], "tsweave.local"]);
    }
    assert.deepEqual(await lines("h2", { name: "nobody.tsweave.local" }), ["NXDOMAIN"]);
    const lookup = await mesh.json<{ answers: object[] }>("h2", "dns-lookup", "shop");
    assert.deepEqual(lookup.answers, [{ name: "shop", type: "A", ttlSeconds: 5, data: ip }]);
    assert.equal((await mesh.cli("h2", "dns-lookup", "nobody")).code, 5);
  });

  it("follows renames, networks that come and go, and the end of a container", async () => {
    const ip = await mesh.web("h1", "old");
    await exactly("old", new Map([["old", ip]]), 2000);
    await mesh.docker("h1", "rename", "old", "new");
    await exactly("new", new Map([["new", ip]]), 2000);
    assert.deepEqual(await lines("h2", { name: "old" }), ["NXDOMAIN"]);
    assert.deepEqual(await lines("h2", { name: "new.back" }), ["NXDOMAIN"]);
    await mesh.docker("h1", "network", "connect", "--alias", "store", "back", "new");
    await mesh.docker("h2", "network", "connect", "back", "asker-h2");
    await eventually("the other network's alias answers", 2000, async () => {
      assert.match((await lines("h2", { name: "store.back" }))[0] ?? "", /^NOERROR 10\.80\./);
    });
    assert.deepEqual(await lines("h3", { name: "store" }), ["NXDOMAIN"], "h3 is not on it");
    await mesh.docker("h2", "network", "disconnect", "back", "asker-h2");
    assert.deepEqual(await lines("h2", { name: "store.back" }), ["NXDOMAIN"]);
    await mesh.docker("h1", "network", "disconnect", "tsweave", "new");
    await mesh.docker("h1", "network", "connect", "--alias", "fresh", "tsweave", "new");
    const again = (await mesh.ip("h1", "new")).split(" ").find((one) => !one.startsWith("10.80."));
    await exactly("fresh", new Map([["new", again ?? ""]]), 2000);
    await mesh.docker("h1", "rm", "-f", "new");
    await exactly("fresh", new Map(), 2000);
    const gone = await lines("h3", { name: reversed(again ?? ""), type: "PTR" });
    assert.deepEqual(gone, ["NXDOMAIN"], "the address has no name either");
  });

  it("follows each change everywhere within a second", async (context) => {
    const ip = await mesh.web("h1", "first");
    const none = new Map<string, string>();
    /** `act` resolves with what the names answer from then on. */
    const followed = async (what: string, names: string[], act: () => Promise<Live[]>) => {
      const watches = await Promise.all(names.map((name) => askers.watch(name)));
      const wanted = await act();
      const sinceMs = Date.now();
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS + 500));
      const took = watches.flatMap((watch, at) => [
        ...watch.settledMs(wanted[at] ?? none, sinceMs).values(),
      ]);
      await Promise.all(watches.map((watch) => watch.stop()));
      context.diagnostic(`${what}: everywhere after ${Math.max(...took)} ms`);
      assert.ok(Math.max(...took) <= FOLLOW_MS, `${what}: ${took} ms`);
    };
    await followed("rename", ["first", "second"], async () => {
      await mesh.docker("h1", "rename", "first", "second");
      return [none, new Map([["second", ip]])];
    });
    await followed("disconnect", ["second"], async () => {
      await mesh.docker("h1", "network", "disconnect", "tsweave", "second");
      return [none];
    });
    await followed("connect with an alias", ["second", "third"], async () => {
      await mesh.docker("h1", "network", "connect", "--alias", "third", "tsweave", "second");
      const again = new Map([["second", await mesh.ip("h1", "second")]]);
      return [again, again];
    });
    await followed("kill", ["second", "third"], async () => {
      await mesh.docker("h1", "kill", "second");
      return [none, none];
    });
    await mesh.docker("h1", "rm", "-f", "second");
  });

  it("knows outside services by network or everywhere, past a kill of the daemon", async () => {
    const added = await mesh.cli("h1", "dns-add", "DB.tsweave.local", "192.0.2.7", "192.0.2.8");
    assert.equal(added.code, 0, added.stderr);
    await mesh.ok("h1", [...TSWEAVE, "dns-add", "vault", "192.0.2.9", "--network", "back"]);
    const both = new Map([
      ["a", "192.0.2.7"],
      ["b", "192.0.2.8"],
    ]);
    await exactly("db", both, 2000);
    await exactly("db.tsweave", both, 1000);
    const pointer = { name: reversed("192.0.2.7"), type: "PTR" };
    assert.deepEqual(await lines("h3", pointer), ["NOERROR db.tsweave.local"]);
    assert.deepEqual(await lines("h3", { name: "vault" }), ["NXDOMAIN"], "not on that network");
    const lookup = await mesh.json<{ answers: object[] }>("h3", "dns-lookup", "vault");
    assert.equal(lookup.answers.length, 1);
    const none = await mesh.cli("h1", "dns-add", "x", "192.0.2.1", "--network", "nowhere");
    assert.deepEqual([none.code, /no network nowhere/.test(none.stderr)], [5, true]);
    await mesh.ok("h1", ["kill", "-9", String(await mesh.daemonPid("h1"))]);
    await exactly("db", new Map(), 15_000, ["h2", "h3"]);
    await mesh.launch("h1", mesh.addresses("h1"));
    await exactly("db", both, 3000);
    await mesh.ok("h1", [...TSWEAVE, "dns-remove", "db", "192.0.2.8"]);
    await exactly("db", new Map([["a", "192.0.2.7"]]), 2000);
    const wrong = await mesh.cli("h2", "dns-remove", "db");
    assert.equal(wrong.code, 5, "another host's");
    await mesh.ok("h1", [...TSWEAVE, "dns-remove", "db"]);
    await exactly("db", new Map(), 2000);
  });

  it("prefers healthy containers, and answers with all where none is", async () => {
    const check = ["--health-interval", "300ms", "--health-retries", "1", "--health-timeout", "2s"];
    const flags = ["--network-alias", "app", "--health-cmd", "test ! -e /ill", ...check];
    const app = new Map<string, string>();
    for (const host of ["h1", "h2"] as const) {
      app.set(host, await mesh.web(host, `app-${host}`, ...flags));
    }
    await exactly("app", app, 3000);
    await mesh.inside("h2", "app-h2", "touch", "/ill");
    await exactly("app", new Map([["h1", app.get("h1") ?? ""]]), 5000);
    await exactly("app-h2", new Map([["h2", app.get("h2") ?? ""]]), 1000);
    await mesh.inside("h1", "app-h1", "touch", "/ill");
    await exactly("app", app, 5000);
    await mesh.inside("h1", "app-h1", "rm", "/ill");
    await exactly("app", new Map([["h1", app.get("h1") ?? ""]]), 5000);
    for (const host of ["h1", "h2"]) await mesh.docker(host, "rm", "-f", `app-${host}`);
  });

  it("answers crowds by the client's size, and leaves the outside to Docker", async () => {
    const ips = Array.from({ length: CROWD }, (_, at) => `192.0.2.${at + 100}`);
    await mesh.ok("h2", [...TSWEAVE, "dns-add", "crowd", ...ips]);
    await eventually("h1 has the crowd", 2000, async () => {
      const [plain, wide, large, tcp] = await ask(
        "h1",
        { name: "crowd" },
        { name: "crowd", udpBytes: 700 },
        { name: "crowd", udpBytes: 4096 },
        { name: "crowd", tcp: true },
      );
      const seen = (reply: Reply | undefined) => [reply?.answers.length, reply?.truncated];
      assert.deepEqual(seen(plain), [30, true]);
      assert.deepEqual(seen(wide), [41, true]);
      assert.ok((wide?.bytes ?? 0) <= 700);
      assert.deepEqual(seen(large), [CROWD, false]);
      assert.deepEqual(tcp?.answers, ips.toSorted());
    });
    const samples = await ask("h1", ...Array.from({ length: 20 }, () => ({ name: "crowd" })));
    assert.equal(new Set(samples.flatMap(({ answers }) => answers)).size, CROWD, "a fair sample");
    await mesh.ok("h2", [...TSWEAVE, "dns-remove", "crowd"]);
    const outside = { name: "outside.example" };
    const found = await lines(
      "h1",
      outside,
      { ...outside, tcp: true },
      { name: "no.such.example" },
    );
    assert.deepEqual(found, ["NOERROR 198.51.100.1", "NOERROR 198.51.100.1", "NXDOMAIN"]);
  });

  it("exact sets on all hosts through rounds of kill and start", async () => {
    const live = new Map<string, string>();
    const start = async (host: Host, name: string) => {
      live.set(name, await mesh.web(host, name, "--network-alias", "svc"));
    };
    await Promise.all(
      HOSTS.flatMap((host) => ["a", "b"].map((part) => start(host, `svc-${host}${part}`))),
    );
    await exactly("svc", live, 2000);
    for (let round = 0; round < CHURN_ROUNDS; round += 1) {
      const [victim, other] = [HOSTS[round % 3] ?? "h1", HOSTS[(round + 1) % 3] ?? "h2"];
      const name = [...live.keys()].find((one) => one.startsWith(`svc-${victim}`)) ?? "";
      const kill = round % 2 === 0 ? ["kill", name] : ["rm", "-f", name];
      await Promise.all([mesh.docker(victim, ...kill), start(other, `svc-${other}${round}`)]);
      live.delete(name);
      await exactly("svc", live, 2000);
    }
  });

  it("another domain, the host's own listener, and none of it with --no-dns", async () => {
    await mesh.cli("h3", "stop");
    const flags = ["--dns-domain", "Corp.Test.", "--dns-listen", "5300"];
    await mesh.launch("h3", mesh.addresses("h3"), ...flags);
    const ip = await mesh.ip("h1", "web1");
    await exactly("web1.corp.test", new Map([["web1", ip]]), 3000, ["h3"]);
    const host = { server: "127.0.0.1", port: 5300 };
    const questions = [
      { name: "web1.corp.test", ...host },
      { name: "web1.corp.test", ...host, tcp: true },
      { name: "nobody.corp.test", ...host },
      { name: "outside.example", ...host },
    ];
    const argv = [process.execPath, ASKER, JSON.stringify(questions)];
    const replies = JSON.parse(await mesh.ok("h3", argv)) as Reply[];
    const seen = replies.map(({ rcode, answers }) => [rcode, ...answers].join(" "));
    assert.deepEqual(seen, [`NOERROR ${ip}`, `NOERROR ${ip}`, "NXDOMAIN", "REFUSED"]);
    await mesh.ok("h3", ["kill", "-9", String(await mesh.daemonPid("h3"))]);
    await mesh.launch("h3", mesh.addresses("h3"), "--no-dns");
    await mesh.web("h3", "near");
    const [near, far] = await ask("h3", { name: "near" }, { name: "web1" });
    assert.equal(near?.rcode, "NOERROR", "Docker's own resolver knows this host's");
    assert.deepEqual(far?.answers, []);
    await exactly("web1", new Map([["web1", ip]]), 2000, ["h2"]);
    assert.equal((await mesh.cli("h3", "dns-lookup", "web1")).code, 0, "the zone is there");
  });
});
