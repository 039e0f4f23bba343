/**
 * Endpoints without Docker, with real daemons on hosts in namespaces: attach, detach, expose, hide,
 * names, the way outside, and what becomes of them when the daemon or the target dies.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, test } from "node:test";
import type { TsweaveError } from "../../mesh/index.ts";
import { run } from "../../overlay/io/exec.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";

const TAG = `a${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const children: ChildProcess[] = [];
let a: NetnsDaemon;
let b: NetnsDaemon;

function hosts(): [NetnsHost, NetnsHost] {
  const [h1, h2] = lab.hosts;
  assert.ok(h1 && h2);
  return [h1, h2];
}

const startA = (state?: string) => daemons.start(hosts()[0], "h1", ["192.0.2.2"], state);
const inNetns = (netns: string, line: string) => `nsenter --net=/run/netns/${netns} ${line}`;
const ping = async (netns: string, ip: string) =>
  await exitCode(inNetns(netns, `busybox ping -c 1 -W 2 ${ip}`));

/** The namespace of another test's name, new each time. */
async function target(name: string): Promise<string> {
  await exitCode(`ip netns del tw${TAG}-${name}`);
  return await lab.container(name);
}

/** A process in a namespace without a name; its id. */
async function unnamed(): Promise<ChildProcess & { readonly pid: number }> {
  const name = await target("unnamed");
  const child = spawn("nsenter", [`--net=/run/netns/${name}`, "sleep", "600"], { stdio: "ignore" });
  await once(child, "spawn");
  children.push(child);
  const { pid } = child;
  assert.ok(pid !== undefined);
  await eventually("its own namespace", 5000, async () => {
    const [own, other] = await Promise.all([sh("readlink /proc/self/ns/net"), netnsOf(pid)]);
    assert.notEqual(own, other);
  });
  await sh(`ip netns del ${name}`);
  return Object.assign(child, { pid });
}

const netnsOf = async (pid: number) => await sh(`readlink /proc/${pid}/ns/net`);

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

async function ready(daemon: NetnsDaemon): Promise<void> {
  await eventually(`${daemon.name} has addresses`, 40_000, async () => {
    const { ipam } = await daemon.client.status();
    assert.ok(ipam.founded, ipam.text);
  });
}

/** What a daemon's host has of ours: namespaces, devices, nft tables. */
async function leftovers({ netns }: NetnsHost, own: readonly string[]): Promise<string[]> {
  const links = (await sh(`ip -n ${netns} -o link`)).match(/\b(tsw\w+|tsweave\w+)\b/g) ?? [];
  const tables = (await sh(inNetns(netns, "nft list tables"))).match(/tsweave_gw\b/g) ?? [];
  const names = (await sh("ip netns list")).match(/^tsweave-\w+/gm) ?? [];
  return [...links, ...tables, ...names.filter((name) => own.includes(name))];
}

const refusal = (code: string, text: RegExp) => (error: unknown) => {
  const { code: found, line } = error as TsweaveError;
  assert.equal(found, code, String(error));
  assert.match(line, text);
  return true;
};

const wish = { names: [], dns: true };

before(async () => {
  await lab.open(2);
  const [h1, h2] = hosts();
  for (const { netns } of [h1, h2]) await sh(`ip -n ${netns} route add default via 192.0.2.9`);
  a = startA();
  b = daemons.start(h2, "h2", ["192.0.2.1"]);
  await Promise.all([ready(a), ready(b)]);
});

afterEach(async () => {
  for (const child of children.splice(0)) await end(child);
});

after(async () => {
  for (const child of children.splice(0)) await end(child);
  await daemons.close();
  await lab.close();
});

test("a namespace and a process reach one another across hosts, by address and name", async () => {
  const [blue, pid] = [await target("blue"), (await unnamed()).pid];
  const one = await a.client.attach({ ...wish, target: blue, names: ["web", "www"] });
  const other = await b.client.attach({ ...wish, target: String(pid), ip: "10.44.0.9" });
  assert.deepEqual([one.device, one.kind, one.target], ["eth0", "netns", `/run/netns/${blue}`]);
  assert.deepEqual([other.ip, other.kind, other.cidr], ["10.44.0.9", "process", "10.44.0.9/12"]);
  assert.equal(other.mac, "02:42:0a:2c:00:09");
  await eventually("h1 knows", 5000, async () => {
    assert.equal((await a.client.read("endpoints")).endpoints.length, 2);
  });
  assert.equal(await ping(blue, "10.44.0.9"), 0);
  assert.equal(await exitCode(`nsenter -t ${pid} -n busybox ping -c 1 -W 2 ${one.ip}`), 0);
  for (const name of ["web", "www", "web.tsweave"]) {
    const found = await sh(`nsenter -t ${pid} -n busybox nslookup ${name} 127.0.0.11`);
    assert.ok(found.includes(`Address: ${one.ip}`), found);
  }
  const mac = JSON.parse(await sh(inNetns(blue, "ip -j link show eth0")))[0].address;
  assert.equal(mac, one.mac);

  const again = await a.client.attach({ ...wish, target: `/run/netns/${blue}`, names: ["web"] });
  assert.equal(again.id, one.id);
  const [shown] = (await a.client.ps()).endpoints;
  assert.deepEqual([shown?.ip, shown?.interface, shown?.names], [one.ip, "eth0", ["web", "www"]]);

  assert.equal((await a.client.detach({ target: blue, network: undefined })).detached.length, 1);
  await b.client.detach({ target: String(pid), network: "tsweave" });
  assert.equal(await exitCode(inNetns(blue, "ip link show eth0")), 1);
  assert.equal((await sh(inNetns(blue, "nft list tables"))).trim(), "");
  await eventually("nobody knows it any more", 5000, async () => {
    assert.deepEqual((await a.client.read("endpoints")).endpoints, []);
  });
});

test("what cannot be is refused with what helps, and leaves nothing", async () => {
  const [h1] = hosts();
  const blue = await target("blue");
  await sh(`ip -n ${blue} link add taken type bridge`);
  const attach = async (more: object) => await a.client.attach({ ...wish, target: blue, ...more });
  const cases: [object, string, RegExp][] = [
    [{ target: "nobody" }, "NOT_FOUND", /no container or namespace 'nobody'.*ip netns list/],
    [{ target: "4194303" }, "NOT_FOUND", /no process, container or namespace '4194303'/],
    [{ target: "/etc/passwd" }, "NOT_FOUND", /is not a network namespace/],
    [{ target: String(a.child.pid) }, "BAD_REQUEST", /host's own namespace; .*tsweave expose/],
    [{ device: "taken" }, "BAD_REQUEST", /already has an interface taken; use --interface eth0/],
    [{ device: "a/b" }, "CONFIG", /cannot name an interface/],
    [{ network: "back" }, "NOT_FOUND", /no network back; see 'tsweave status networks'/],
    [{ ip: "10.99.0.1" }, "CONFIG", /not in 10.32.0.0\/12, the subnet of network tsweave/],
    [{ ip: "10.33.0.1/24" }, "CONFIG", /is a \/12, not a \/24/],
    [{ ip: "10.32.0.1" }, "ADDRESS_TAKEN", /10.32.0.1/],
    [{ mac: "01:00:00:00:00:00" }, "CONFIG", /not a unicast MAC/],
    [{ names: ["no good"] }, "CONFIG", /cannot be a name in DNS/],
  ];
  for (const [more, code, text] of cases) await assert.rejects(attach(more), refusal(code, text));
  await assert.rejects(
    a.client.detach({ target: blue, network: undefined }),
    refusal("NOT_FOUND", /tsweave ps/),
  );
  await assert.rejects(a.client.hide({}), refusal("NOT_FOUND", /the host is not exposed/));
  const { namespaces } = await a.client.namespaces();
  assert.deepEqual(namespaces, []);
  assert.deepEqual(await leftovers(h1, []), []);
  assert.equal((await a.client.status()).ipam.used, 0);

  const held = await attach({ ip: "10.40.0.77", gateway: false });
  assert.equal(held.gateway, null);
  const red = await target("red");
  const twice = a.client.attach({ ...wish, target: red, ip: "10.40.0.77" });
  await assert.rejects(twice, refusal("ADDRESS_TAKEN", /10.40.0.77/));
  await assert.rejects(
    attach({ ip: "10.40.0.78" }),
    refusal("BAD_REQUEST", /tsweave detach .*then again/),
  );
  await a.client.detach({ target: blue, network: undefined });
});

test("a target reaches the outside by NAT, unless it has a route of its own", async () => {
  const [h1] = hosts();
  const lan = `tw${TAG}-lan`;
  await sh(`ip -n ${lan} addr replace 192.0.2.9/24 dev lan0`);
  const [blue, red] = [await target("blue"), await target("red")];
  const one = await a.client.attach({ ...wish, target: blue });
  assert.match(one.gateway ?? "", /^172\.31\.0\.2\/16$/);
  assert.equal(await ping(blue, "192.0.2.9"), 0);
  const routes = await sh(inNetns(blue, "ip route"));
  assert.match(routes, /default via 172\.31\.0\.1 dev eth1/);
  const { namespaces } = await a.client.namespaces();
  const own = namespaces.map(({ namespace }) => namespace);

  await sh(`ip -n ${red} link add outside type bridge`);
  await sh(`ip -n ${red} addr add 198.51.100.1/24 dev outside`);
  await sh(`ip -n ${red} link set outside up`);
  await sh(`ip -n ${red} route add default via 198.51.100.2`);
  const other = await a.client.attach({ ...wish, target: red });
  assert.equal(other.gateway, null);
  await a.client.detach({ target: red, network: undefined });
  const wanted = a.client.attach({ ...wish, target: red, gateway: true });
  await assert.rejects(
    wanted,
    refusal("CONFIG", /has a default route already; leave out --gateway/),
  );

  await a.client.detach({ target: blue, network: undefined });
  assert.deepEqual(await leftovers(h1, own), []);
  assert.equal(await exitCode(inNetns(blue, "ip link show eth1")), 1);
});

test("kill -9 of the daemon loses no ping, and the next one can detach", async () => {
  const [blue, red] = [await target("blue"), await target("red")];
  await a.client.attach({ ...wish, target: blue, names: ["web"] });
  const { ip } = await b.client.attach({ ...wish, target: red });
  await eventually("reached", 5000, async () => assert.equal(await ping(blue, ip), 0));
  const line = `nsenter --net=/run/netns/${blue} busybox ping -i 0.02 -c 400 -W 1 ${ip}`;
  const pings = run(line.split(" "), { tolerant: true, timeoutMs: 60_000 });
  await end(a.child);
  a = startA(a.home);
  await eventually("serving again", 20_000, async () => {
    const [row] = (await a.client.ps()).endpoints;
    assert.deepEqual(row?.names, ["web"]);
  });
  const { stdout } = await pings;
  const missing = Array.from({ length: 400 }, (_, at) => at).filter(
    (at) => !stdout.includes(`seq=${at} `),
  );
  assert.deepEqual(missing, []);
  await eventually("names again", 10_000, async () => {
    const found = await sh(inNetns(blue, "busybox nslookup web 127.0.0.11"));
    assert.match(found, /Name:\s+web/);
  });
  await a.client.detach({ target: blue, network: undefined });
  await b.client.detach({ target: red, network: undefined });
  assert.equal(await exitCode(inNetns(blue, "ip link show eth0")), 1);
  assert.equal((await a.client.status()).ipam.used, 0);
});

test("a target that is gone takes everything with it, one that lives on does not", async () => {
  const [h1] = hosts();
  const [blue, child] = [await target("blue"), await unnamed()];
  await a.client.attach({ ...wish, target: blue });
  await a.client.attach({ ...wish, target: String(child.pid) });
  const { namespaces } = await a.client.namespaces();
  const own = namespaces.map(({ namespace }) => namespace);
  // A name that goes while a process stays inside changes nothing.
  const inside = spawn("nsenter", [`--net=/run/netns/${blue}`, "sleep", "600"], {
    stdio: "ignore",
  });
  await once(inside, "spawn");
  children.push(inside);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await sh(`ip netns del ${blue}`);
  await new Promise((resolve) => setTimeout(resolve, 4000));
  assert.equal((await a.client.ps()).endpoints.length, 2);
  assert.equal(await exitCode(`nsenter -t ${inside.pid} -n ip link show eth0`), 0);

  const startMs = Date.now();
  await end(inside);
  await end(child);
  await eventually("both are gone", 15_000, async () => {
    assert.deepEqual((await a.client.ps()).endpoints, []);
  });
  assert.ok(Date.now() - startMs < 15_000);
  await eventually("on the other host too", 5000, async () => {
    assert.deepEqual((await b.client.read("endpoints")).endpoints, []);
  });
  await eventually("nothing is left", 5000, async () => {
    assert.deepEqual(await leftovers(h1, own), []);
    assert.equal((await a.client.status()).ipam.used, 0);
  });
  assert.deepEqual((await a.client.status()).health.problems, []);
});

test("an interface that somebody deletes comes back", async () => {
  const blue = await target("blue");
  const { ip, mac } = await a.client.attach({ ...wish, target: blue });
  await sh(`ip -n ${blue} link del eth0`);
  await eventually("it is back", 15_000, async () => {
    const [link] = JSON.parse(await sh(inNetns(blue, "ip -j addr show eth0")));
    assert.equal(link.address, mac);
    assert.ok(link.addr_info.some(({ local }: { local: string }) => local === ip));
  });
  await a.client.detach({ target: blue, network: undefined });
});

test("expose gives the host an address, hide takes it back", async () => {
  const [h1] = hosts();
  const red = await target("red");
  const { ip } = await b.client.attach({ ...wish, target: red });
  const host = await a.client.expose({ ip: "10.40.1.1" });
  assert.deepEqual([host.ip, host.device, host.kind], ["10.40.1.1", "tsweave0", "host"]);
  await eventually("reached", 5000, async () => assert.equal(await ping(h1.netns, ip), 0));
  assert.equal(await ping(red, host.ip), 0);
  const { namespaces } = await a.client.namespaces();
  const own = namespaces.map(({ namespace }) => namespace);
  // A restart finds its own route in the way of nothing.
  await end(a.child);
  a = startA(a.home);
  await ready(a);
  assert.equal(await ping(red, host.ip), 0);
  await a.client.hide({});
  assert.deepEqual(await leftovers(h1, own), []);
  await b.client.detach({ target: red, network: undefined });
});
