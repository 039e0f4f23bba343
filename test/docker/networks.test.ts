/**
 * Networks without a master on real engines, one of them a newer one where it can be had: made and
 * removed on any host, also in a partition, and never under a container.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2", "h3"] as const;
const CREATE = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];
const BLUE = "10.70.0.0/16";

interface NetworkJson {
  readonly name: string;
  readonly vni: number;
  readonly subnet: string;
  readonly mtu: number;
  readonly internal: boolean;
  readonly endpoints: number;
  readonly here: boolean;
  readonly why: string | null;
  readonly present: readonly string[];
  readonly conflicts: readonly string[];
}

const newer = await newerEngine("sid");
let mesh: MeshHosts;

async function networks(host: string, name: string): Promise<NetworkJson[]> {
  const reply = await mesh.json<{ networks: NetworkJson[] }>(host, "network", "ls");
  return reply.networks.filter((network) => network.name === name);
}

/** Waits until the engines of these hosts have the network with this subnet, or none. */
async function onEngines(
  name: string,
  subnet: string | undefined,
  hosts: readonly string[] = HOSTS,
): Promise<void> {
  const format = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
  await eventually(`${name} is ${subnet ?? "nowhere"} on ${hosts}`, 15_000, async () => {
    for (const host of hosts) {
      const found = await mesh.exec(host, ["docker", "network", "inspect", "-f", format, name]);
      assert.equal(found.stdout.trim(), subnet ?? "", host);
    }
  });
}

async function problems(host: string): Promise<{ code: string; text: string; next: string }[]> {
  type Problems = { health: { problems: { code: string; text: string; next: string }[] } };
  const { health } = await mesh.json<Problems>(host, "status");
  return health.problems.filter(({ code }) => code.startsWith("NETWORK"));
}

async function isWell(host: string): Promise<void> {
  await eventually(`${host} has nothing to say`, 5000, async () => {
    assert.deepEqual(await problems(host), []);
  });
}

async function fetches(host: string, from: string, name: string): Promise<void> {
  const page = await mesh.inside(host, from, "timeout", "5", "wget", "-qO-", `http://${name}/`);
  assert.equal(page, name);
}

async function end(...containers: readonly [host: string, name: string][]): Promise<void> {
  for (const [host, name] of containers) await mesh.docker(host, "rm", "-f", name);
}

async function reachEachOther(): Promise<void> {
  await eventually("all are alive again", 20_000, async () => {
    for (const host of HOSTS) {
      const status = await mesh.json<{ mesh: { alive: number } }>(host, "status");
      assert.equal(status.mesh.alive, HOSTS.length);
    }
  });
}

describe("networks without a master", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { h3: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("networks", { hosts: HOSTS, engineDirs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("made by docker on one host is on all, with one VNI, names and addresses", async (t) => {
    t.diagnostic("version" in newer ? `h3 runs engine ${newer.version}` : newer.reason);
    const startMs = Date.now();
    await mesh.docker("h1", ...CREATE, "--subnet", BLUE, "--label", "team=a", "blue");
    await onEngines("blue", BLUE);
    t.diagnostic(`on three engines ${Date.now() - startMs} ms after the command`);
    const label = ["network", "inspect", "-f", '{{index .Labels "team"}}', "blue"];
    assert.equal(await mesh.docker("h2", ...label), "a");
    const ips = [];
    for (const host of HOSTS) ips.push(await mesh.web(host, `blue-${host}`, "--net", "blue"));
    assert.equal(new Set(ips).size, 3);
    for (const host of HOSTS) {
      for (const other of HOSTS) await fetches(host, `blue-${host}`, `blue-${other}`);
      const [row] = await networks(host, "blue");
      assert.deepEqual([row?.endpoints, row?.present, row?.conflicts], [3, [...HOSTS], []]);
      const link = ["ip", "-d", "link", "show", "vxlan0"];
      const id = await mesh.docker(host, "network", "inspect", "-f", "{{.Id}}", "blue");
      const shown = await mesh.ok(host, [
        "ip",
        "netns",
        "exec",
        `tsweave-${id.slice(0, 10)}`,
        ...link,
      ]);
      assert.match(shown, new RegExp(`vxlan id ${row?.vni} `));
    }
    assert.match((await mesh.cli("h2", "network")).stdout, /blue +10\.70\.0\.0\/16 .* h1,h2,h3/);
  });

  it("with the same subnet are isolated, by packets and by names", async () => {
    const made = await mesh.cli("h2", "network", "create", "red", "--subnet", BLUE);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /made network red .* on every host/);
    await onEngines("red", BLUE);
    const red1 = await mesh.web("h1", "red-h1", "--net", "red");
    const red3 = await mesh.web("h3", "red-h3", "--net", "red");
    await fetches("h1", "red-h1", "red-h3");
    await mesh.inside("h3", "red-h3", "ping", "-c1", "-W2", red1);
    const blue3 = await mesh.ip("h3", "blue-h3");
    assert.equal(new Set([red1, red3, blue3]).size, 3, "one pool: no address twice");
    for (const ip of [blue3, await mesh.ip("h1", "blue-h1")]) {
      const ping = await mesh.tryInside("h1", "red-h1", "ping", "-c1", "-W1", ip);
      assert.notEqual(ping.code, 0, `red reaches ${ip} of blue`);
    }
    const lookup = await mesh.tryInside("h1", "red-h1", "nslookup", "blue-h3");
    assert.doesNotMatch(lookup.stdout, /10\.70\./);
    await end(["h1", "red-h1"], ["h3", "red-h3"]);
    const removed = await mesh.cli("h1", "network", "rm", "red");
    assert.equal(removed.code, 0, removed.stderr);
    await onEngines("red", undefined);
    await fetches("h1", "blue-h1", "blue-h3");
    const next = await mesh.web("h1", "blue-later", "--net", "blue");
    assert.match(next, /^10\.70\./, "the pool that they shared is still open");
    await end(["h1", "blue-later"]);
  });

  it("are not removed while containers on other hosts use them", async () => {
    await mesh.docker("h1", "stop", "blue-h1");
    const refused = await mesh.cli("h1", "network", "rm", "blue");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /network blue is in use by blue-h2 on h2, blue-h3 on h3/);
    const own = await mesh.cli("h2", "network", "rm", "blue");
    assert.match(own.stderr, /in use by blue-h2, blue-h3 on h3/);
    // Docker cannot be made to refuse it: it is put back, and nothing else notices.
    await mesh.docker("h1", "network", "rm", "blue");
    await onEngines("blue", BLUE);
    await fetches("h2", "blue-h2", "blue-h3");
    // A stopped container has the id of the network that its user removed, as ever with Docker.
    const again = await mesh.exec("h1", ["docker", "start", "blue-h1"]);
    assert.match(again.stderr, /network \w+ not found/);
    await mesh.docker("h1", "network", "disconnect", "-f", "blue", "blue-h1");
    await mesh.docker("h1", "network", "connect", "blue", "blue-h1");
    await mesh.docker("h1", "start", "blue-h1");
    await fetches("h1", "blue-h1", "blue-h3");
  });

  it("go from everywhere once nobody uses them, with all that belonged to them", async (t) => {
    await end(["h1", "blue-h1"], ["h2", "blue-h2"], ["h3", "blue-h3"]);
    await eventually("its endpoints are gone", 5000, async () => {
      assert.equal((await networks("h2", "blue"))[0]?.endpoints, 0);
    });
    const startMs = Date.now();
    await mesh.docker("h2", "network", "rm", "blue");
    await onEngines("blue", undefined);
    t.diagnostic(`gone from three engines ${Date.now() - startMs} ms after the command`);
    await eventually("no namespace or row is left", 5000, async () => {
      for (const host of HOSTS) {
        const netns = (await mesh.ok(host, ["ip", "netns", "list"])).trim().split("\n");
        assert.equal(netns.length, 1, netns.join());
        assert.deepEqual(await networks(host, "blue"), []);
      }
    });
  });

  it("refuse options that they do not know, by name", async () => {
    const docker = await mesh.exec("h1", [
      "docker",
      ...CREATE,
      "--subnet",
      BLUE,
      "-o",
      "vin=7",
      "x",
    ]);
    assert.match(docker.stderr, /unknown option 'vin'/);
    const ipam = await mesh.exec("h1", [
      ...["docker", ...CREATE, "--subnet", BLUE, "--ipam-opt", "rnage=1", "x"],
    ]);
    assert.match(ipam.stderr, /unknown IPAM option 'rnage'/);
    const cli = await mesh.cli("h1", "network", "create", "x", "--subent", BLUE);
    assert.equal(cli.code, 2);
    assert.match(cli.stderr, /--subent.*--subnet/s);
    const both = await mesh.cli("h1", "network", "rm", "x", "--internal");
    assert.match(both.stderr, /rm takes no --internal/);
    const unknown = await mesh.cli("h1", "network", "rm", "x");
    assert.equal(unknown.code, 5);
    const taken = await mesh.cli("h1", "network", "create", "x", "--subnet", "172.17.0.0/16");
    assert.match(taken.stderr, /172\.17\.0\.0\/16/);
    const part = await mesh.cli("h1", "network", "create", "x", "--subnet", "10.33.0.0/16");
    assert.match(part.stderr, /10\.33\.0\.0\/16 is in use by network tsweave/);
    await onEngines("x", undefined);
  });

  it("carry their options everywhere", async () => {
    const flags = ["--internal", "--mtu", "1300", "--ip-range", "10.71.4.0/22"];
    const subnet = ["--subnet", "10.71.0.0/16", "--gateway", "10.71.0.77"];
    const made = await mesh.cli("h1", "network", "create", "inner", ...subnet, ...flags);
    assert.equal(made.code, 0, made.stderr);
    for (const host of ["h2", "h3"]) {
      const ip = await mesh.web(host, `inner-${host}`, "--net", "inner");
      assert.match(ip, /^10\.71\.[4-7]\./);
      assert.match(await mesh.inside(host, `inner-${host}`, "ip", "link"), /eth0.* mtu 1300/);
      assert.doesNotMatch(await mesh.inside(host, `inner-${host}`, "ip", "route"), /default/);
      await mesh.inside(host, `inner-${host}`, "ping", "-c1", "-W1", "10.71.0.77");
    }
    await fetches("h2", "inner-h2", "inner-h3");
    await end(["h2", "inner-h2"], ["h3", "inner-h3"]);
    assert.equal((await mesh.cli("h3", "network", "rm", "inner")).code, 0);
  });

  it("are listed where an engine cannot have them, with the reason", async () => {
    await mesh.docker("h3", "network", "create", "taken");
    const made = await mesh.cli("h1", "network", "create", "taken");
    assert.match(made.stderr, /not yet followed: h3/);
    await eventually("h3 says why", 10_000, async () => {
      const [row] = await networks("h3", "taken");
      assert.match(row?.why ?? "", /another network \(bridge\) has its name/);
      assert.deepEqual([row?.here, row?.present], [false, ["h1", "h2"]]);
    });
    await mesh.docker("h3", "network", "rm", "taken");
    await eventually("h3 has it", 10_000, async () => {
      const [row] = await networks("h3", "taken");
      assert.deepEqual([row?.here, row?.why, row?.present], [true, null, [...HOSTS]]);
    });
    assert.equal((await mesh.cli("h2", "network", "rm", "taken")).code, 0);
    await onEngines("taken", undefined);
  });

  it("made on both sides of a cut are one, or one counts and the other is told of", async () => {
    await mesh.lab.partition([["h1"], ["h2", "h3"]]);
    const one = await mesh.cli("h1", "network", "create", "same");
    const two = await mesh.cli("h2", "network", "create", "same");
    assert.deepEqual([one.code, two.code], [0, 0], one.stderr + two.stderr);
    await mesh.docker("h1", ...CREATE, "--subnet", "10.81.0.0/16", "other");
    await mesh.docker("h3", ...CREATE, "--subnet", "10.82.0.0/16", "other");
    await onEngines("other", "10.82.0.0/16", ["h2", "h3"]);
    for (const host of ["h1", "h2"]) await mesh.web(host, `same-${host}`, "--net", "same");
    for (const host of HOSTS) await mesh.web(host, `other-${host}`, "--net", "other");
    await mesh.lab.heal();
    await reachEachOther();
    await eventually("the same network is one", 10_000, async () => {
      await fetches("h1", "same-h1", "same-h2");
      await fetches("h2", "same-h2", "same-h1");
    });
    await eventually("the other is a conflict for all", 10_000, async () => {
      for (const host of HOSTS) {
        const [told] = await problems(host);
        assert.equal(told?.code, "NETWORK_CONFLICT", host);
        assert.match(told?.text ?? "", /10\.8[12]\.0\.0\/16.*10\.8[12]\.0\.0\/16/);
        assert.match(told?.next ?? "", /docker network rm other/);
      }
    });
    const rows = await networks("h1", "other");
    assert.equal(rows.length, 2);
    assert.equal(new Set(rows.map(({ vni }) => vni)).size, 2);
    const [absent, ...more] = rows.filter(({ here }) => !here);
    assert.match(absent?.why ?? "", /^this host's other has 10\.81\.0\.0\/16$/);
    assert.deepEqual(more, []);
    await fetches("h2", "other-h2", "other-h3");
    const ambiguous = await mesh.cli("h1", "network", "rm", "other");
    assert.match(ambiguous.stderr, /say which with --subnet/);
    await end(["h1", "other-h1"], ["h2", "other-h2"], ["h3", "other-h3"]);
    await settleConflict("other");
  });

  it("reach a host that joins later, which gives out addresses of its own", async () => {
    await mesh.lab.addHost("h4");
    await mesh.launch("h4", [mesh.address("h1")]);
    await onEngines("same", (await networks("h1", "same"))[0]?.subnet, ["h4"]);
    await mesh.web("h4", "same-h4", "--net", "same");
    for (const host of ["h1", "h2"]) await fetches(host, `same-${host}`, "same-h4");
    const reset = await mesh.cli("h4", "reset", "--yes", "--force");
    assert.equal(reset.code, 0, reset.stderr);
    await fetches("h1", "same-h1", "same-h2");
    assert.equal((await networks("h2", "same")).length, 1, "a host that leaves takes none along");
  });

  it("do not come back with a host that was off, which keeps what it runs", async () => {
    await mesh.docker("h1", ...CREATE, "--subnet", "10.91.0.0/16", "brief");
    await mesh.docker("h1", ...CREATE, "--subnet", "10.92.0.0/16", "kept");
    await onEngines("kept", "10.92.0.0/16");
    await mesh.web("h3", "keeper", "--net", "kept");
    await end(["h1", "same-h1"], ["h2", "same-h2"]);
    await mesh.lab.partition([["h1", "h2"], ["h3"]]);
    const stopped = await mesh.cli("h3", "stop");
    assert.equal(stopped.code, 0, stopped.stderr);
    await mesh.docker("h2", "network", "rm", "brief");
    // While the host is in doubt its containers count; its network is removed by Docker's word.
    const refused = await mesh.cli("h1", "network", "rm", "kept");
    assert.match(refused.stderr, /in use by keeper on h3/);
    await mesh.lab.heal();
    await mesh.launch("h3", mesh.addresses("h3"));
    await onEngines("brief", undefined);
    await onEngines("kept", "10.92.0.0/16");
    await isWell("h3");
  });

  it("that a host still uses after their removal stay there until it does not", async () => {
    await end(["h3", "keeper"]);
    await eventually("nobody is on it", 5000, async () => {
      assert.equal((await networks("h1", "kept"))[0]?.endpoints, 0);
    });
    await mesh.lab.partition([["h1", "h2"], ["h3"]]);
    await mesh.web("h3", "keeper", "--net", "kept");
    await mesh.docker("h1", "network", "rm", "kept");
    await onEngines("kept", undefined, ["h1", "h2"]);
    await mesh.lab.heal();
    await reachEachOther();
    await eventually("h3 keeps it and says so", 10_000, async () => {
      const [told] = await problems("h3");
      assert.equal(told?.code, "NETWORK_KEPT");
      assert.match(told?.text ?? "", /kept was removed from the mesh, but keeper here use it/);
    });
    await onEngines("kept", "10.92.0.0/16", ["h3"]);
    await end(["h3", "keeper"]);
    await onEngines("kept", undefined);
    await isWell("h3");
  });
});

/** Does what the problems say, until there is none. */
async function settleConflict(name: string): Promise<void> {
  for (const host of HOSTS) {
    const told = (await problems(host)).filter(({ text }) => text.includes(`${name} has`));
    if (!told.some(({ next }) => next.startsWith("on this host"))) continue;
    await mesh.docker(host, "network", "rm", name);
    break;
  }
  await eventually("one network is left, on all", 20_000, async () => {
    for (const host of HOSTS) {
      assert.deepEqual(await problems(host), []);
      assert.equal((await networks(host, name)).length, 1);
    }
  });
  const [left] = await networks("h1", name);
  await onEngines(name, left?.subnet);
  assert.equal((await mesh.cli("h2", "network", "rm", name)).code, 0);
  await onEngines(name, undefined);
}
