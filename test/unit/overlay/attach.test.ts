/** Attaching as a state machine: crashes, lost pairs, targets that go, move or come back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TsweaveError } from "../../../mesh/index.ts";
import type { AttachWish } from "../../../overlay/index.ts";
import { AttachWorld, link } from "./attach-world.ts";
import { SUBNET } from "./docker-world.ts";

const BLUE = "/run/netns/blue";

async function world(): Promise<AttachWorld> {
  const made = new AttachWorld();
  await made.start();
  return made;
}

const wish = (more: Partial<AttachWish> = {}): AttachWish => ({
  target: BLUE,
  names: [],
  dns: true,
  ...more,
});

const code = (wanted: string) => (error: unknown) => {
  assert.equal((error as TsweaveError).code, wanted, String(error));
  return true;
};

/** Nothing of any attachment is left anywhere. */
function assertBare(on: AttachWorld): void {
  assert.deepEqual(on.now.list(), []);
  assert.deepEqual(on.now.endpoints(), []);
  assert.deepEqual(on.addresses.ips(), []);
  assert.equal(on.host.endpoints.size, 0);
  assert.equal(on.host.plugged.size, 0);
  assert.equal(on.host.hooks.size, 0);
  assert.equal(on.root.links.has("tsweave_gw"), false);
  assert.deepEqual(on.state.ownNetworks(), []);
  assert.equal(on.firewall, false);
}

test("attach and detach, with names, hook and a way outside", async () => {
  const on = await world();
  const blue = on.add(BLUE, 10);
  const made = await on.now.attach(wish({ names: ["Web"] }));
  assert.deepEqual(on.host.order, ["plug", "publish", "announce", "hook"]);
  assert.deepEqual(on.host.names.get(made.id), ["web"]);
  assert.equal(on.host.hooks.get(made.id)?.internal, true);
  assert.equal(made.gateway, "172.31.0.2/16");
  assert.ok(blue.links.has("eth0") && blue.links.has("eth1"));
  assert.equal(on.firewall, true);
  assert.deepEqual(
    on.now.networks().map(({ name }) => name),
    ["tsweave"],
  );
  assert.equal((await on.now.attach(wish())).id, made.id);
  await assert.rejects(on.now.attach(wish({ device: "eth5" })), code("BAD_REQUEST"));
  assert.deepEqual(
    (await on.now.detach("blue")).map(({ ip }) => ip),
    [made.ip],
  );
  assertBare(on);
  assert.ok(on.host.removedNetworks.length > 0);
  await assert.rejects(on.now.detach("blue"), code("NOT_FOUND"));
});

test("a container keeps Docker's resolver, and its own default route", async () => {
  const on = await world();
  const sandbox = on.add("/sandbox", 11);
  sandbox.hasResolver = true;
  sandbox.hasDefaultRoute = true;
  sandbox.links.set("eth0", link("eth0"));
  const found = { id: "c".repeat(64), name: "db", running: true, sandboxKey: "/sandbox" };
  on.containers.set("db", found);
  const made = await on.now.attach(wish({ target: "db" }));
  assert.deepEqual([made.device, made.gateway, made.resolver], ["eth1", null, "docker"]);
  assert.deepEqual(made.names, ["db"]);
  assert.equal(on.host.hooks.get(made.id)?.internal, false);
  on.containers.set("off", { ...found, running: false });
  await assert.rejects(on.now.attach(wish({ target: "off" })), code("BAD_REQUEST"));
  await on.now.detach("cccc");
  assertBare(on);
});

test("whatever step fails, nothing is left", async () => {
  const on = await world();
  on.add(BLUE, 10);
  const kinds = [
    "end-move",
    "end-address",
    "end-up",
    "group-route",
    "gateway-bridge-add",
    "nat-put",
    "gateway-pair",
  ];
  for (const kind of kinds) {
    on.fault = (step) => (step.kind === kind ? "no" : undefined);
    await assert.rejects(on.now.attach(wish()), code("COMMAND_FAILED"), kind);
    on.fault = () => undefined;
    await on.pass(1000);
    assertBare(on);
  }
  on.host.plugFailure = new Error("no");
  await assert.rejects(on.now.attach(wish()));
  on.host.plugFailure = undefined;
  assertBare(on);
});

test("a crash at any record of the journal leaves all or nothing", async () => {
  for (let kept = 0; kept < 6; kept++) {
    const on = await world();
    on.add(BLUE, 10);
    let written = 0;
    const append = on.store.append.bind(on.store);
    on.store.append = async (key, bytes) => {
      written += 1;
      if (written > kept) throw new Error("the power is gone");
      await append(key, bytes);
    };
    const made = await on.now.attach(wish()).catch(() => undefined);
    on.store.append = append;
    await on.crash();
    const there = on.now.list();
    if (there.length > 0) assert.equal(there[0]?.id, made?.id, `${kept} records`);
    else assert.deepEqual(on.addresses.ips(), [], `${kept} records`);
    for (const { target } of there) await on.now.detach(target);
    assertBare(on);
  }
});

test("a daemon that was killed goes on: rows, names, hook; no change in the kernel", async () => {
  const on = await world();
  on.add(BLUE, 10);
  const made = await on.now.attach(wish({ names: ["web"] }));
  on.steps();
  on.host.order.splice(0);
  await on.crash();
  await on.pass(100);
  assert.deepEqual(on.host.names.get(made.id), ["web"]);
  assert.ok(on.host.hooks.has(made.id));
  assert.ok(!on.host.order.includes("plug"));
  assert.deepEqual(on.addresses.ips(), [made.ip]);
  assert.deepEqual(on.now.list(), [made]);
});

test("after a boot attachments are dropped, an exposed host is not", async () => {
  const on = await world();
  on.add(BLUE, 10);
  await on.now.attach(wish());
  const host = await on.now.expose({});
  assert.equal(host.device, "tsweave0");
  on.bootId = "boot-2";
  on.root.links.clear();
  on.host.plugged.clear();
  on.lost = [host.id];
  await on.crash();
  assert.deepEqual(
    on.now.list().map(({ kind }) => kind),
    ["host"],
  );
  assert.deepEqual(on.addresses.ips(), [host.ip]);
  await on.pass(1200);
  assert.ok(on.host.plugged.has(host.id));
  assert.ok(on.steps().includes("end-rename"));
  await on.now.hide();
  assertBare(on);
});

test("a namespace that is gone is let go, and then given up", async () => {
  const on = await world();
  on.add(BLUE, 10);
  const { id } = await on.now.attach(wish());
  on.paths.delete(BLUE);
  await on.pass(1100);
  // Only our sockets may keep it: they go, and while its pair is there nothing else does.
  assert.equal(on.host.hooks.has(id), false);
  await on.pass(5000);
  assert.equal(on.now.list().length, 1);
  assert.equal(on.now.problems().length, 1);
  on.lost = [id];
  await on.pass(1100);
  assertBare(on);
  assert.deepEqual(on.now.problems(), []);
});

test("a namespace that lives on under another path is followed there", async () => {
  const on = await world();
  const blue = on.add(BLUE, 10);
  const { id } = await on.now.attach(wish());
  on.paths.delete(BLUE);
  on.paths.set("/proc/77/ns/net", blue);
  await on.pass(1100);
  assert.equal(on.state.attachment(id)?.target.path, "/proc/77/ns/net");
  assert.equal(on.host.hooks.get(id)?.key, "/proc/77/ns/net");
  // Its first name still names it.
  await on.now.detach("blue");
  assertBare(on);
});

test("a lost pair is made again in a target that lives, not in another of its name", async () => {
  const on = await world();
  on.add(BLUE, 10);
  const { id } = await on.now.attach(wish());
  on.steps();
  on.lost = [id];
  await on.pass(1100);
  assert.ok(on.steps().includes("end-move"));
  assert.equal(on.now.list().length, 1);
  // Deleted and made anew: the same path, even the same inode.
  on.add(BLUE, 10, "999");
  on.lost = [id];
  await on.pass(1100);
  assertBare(on);
});

test("two targets that die together do not hold one another", async () => {
  const on = await world();
  on.add(BLUE, 10);
  on.add("/run/netns/red", 11);
  const one = await on.now.attach(wish());
  const two = await on.now.attach(wish({ target: "red" }));
  on.paths.delete(BLUE);
  on.paths.delete("/run/netns/red");
  on.root.links.delete(`tswg${one.id.slice(0, 7)}`);
  on.root.links.delete(`tswg${two.id.slice(0, 7)}`);
  on.lost = [one.id, two.id];
  await on.pass(2500);
  assertBare(on);
});

test("attachments move to the engine's network, and outlive it", async () => {
  const on = await world();
  on.add(BLUE, 10);
  await on.now.attach(wish());
  const [own] = on.state.ownNetworks();
  assert.ok(own !== undefined);
  const engine = { ...own, id: "e".repeat(64) };
  await on.state.putNetwork(engine);
  assert.deepEqual(on.now.networks(), []);
  await on.pass(1100);
  assert.deepEqual(on.moved, [`${own.id.slice(0, 4)} eeee`]);
  assert.equal(on.state.ownNetworks()[0]?.id, engine.id);
  await on.state.dropNetwork(engine.id);
  assert.deepEqual(
    on.now.networks().map(({ id }) => id),
    [engine.id],
  );
  await on.now.detach("blue");
  assert.deepEqual(on.host.removedNetworks, [engine.id]);
  assertBare(on);
});

test("what Docker connected is not attached a second time to the same network", async () => {
  const on = await world();
  on.add("/sandbox", 11);
  const found = { id: "c".repeat(64), name: "db", running: true, sandboxKey: "/sandbox" };
  on.containers.set("db", found);
  await on.state.putNetwork({
    ...{ id: "e".repeat(64), name: "tsweave", subnet: SUBNET, gateway: "10.32.0.1" },
    ...{ vni: 256, mtuBytes: 1450, internal: false, ipRange: "", underlayMtuBytes: 0 },
    auxiliary: [],
  });
  await on.state.putEndpoint({
    ...{ id: "f".repeat(64), networkId: "e".repeat(64), ip: "10.32.0.9", mac: "02:42:0a:20:00:09" },
    ...{ joined: true, sandboxKey: "/sandbox", containerId: found.id, names: [], links: [] },
  } as never);
  await assert.rejects(on.now.attach(wish({ target: "db" })), code("BAD_REQUEST"));
});
