/** Two networks of one name on one engine: a user's creation that waited, and the mesh's own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_CHARTER } from "../../../overlay/charter/charter.ts";
import { decide, type Situation } from "../../../overlay/charter/decide.ts";
import type { DockerNetwork } from "../../../overlay/index.ts";
import { dockerNetwork } from "../../lib/fake-engine.ts";
import { NetworkWorld, specWith } from "./charter-world.ts";
import { inWorld } from "./docker-cli.ts";

const RED = "10.50.0.0/16";
const GREEN = "10.60.0.0/16";

function network(id: string, more: Partial<DockerNetwork> = {}): DockerNetwork {
  return dockerNetwork({ id, name: "blue", subnets: [RED], ...more });
}

/** What is decided of networks of which `own` are the mesh's wish and `used` have containers. */
function decided(listed: DockerNetwork[], own: string[], used: string[] = []) {
  const live = [{ creator: "a".repeat(32), stamp: 1, spec: specWith(RED) }];
  const situation: Situation = {
    charters: new Map([["blue", { ...NO_CHARTER, live }]]),
    listed,
    driver: "tsweave",
    defaultName: "tsweave",
    isUserMade: () => false,
    isOwn: ({ id }) => own.includes(id),
    isHeld: () => false,
    usersOf: (id) => (used.includes(id) ? ["web"] : []),
  };
  const { create, remove, notes } = decide(situation);
  assert.deepEqual(create, []);
  return { remove: remove.map(({ id }) => id), notes: notes.map(({ text }) => text) };
}

describe("networks of one name on an engine", () => {
  it("are one after the daemon's own, unused one is gone, however they are listed", () => {
    const both = [network("a1"), network("b2")];
    for (const listed of [both, both.toReversed()]) {
      assert.deepEqual(decided(listed, ["a1"]), { remove: ["a1"], notes: [] });
      assert.deepEqual(decided(listed, ["b2"]), { remove: ["b2"], notes: [] });
      assert.deepEqual(decided(listed, ["a1", "b2"]), { remove: ["b2"], notes: [] });
      assert.deepEqual(decided(listed, ["a1"], ["b2"]), { remove: ["a1"], notes: [] });
    }
  });

  it("are told of where containers use both, or neither is the daemon's, or they differ", () => {
    const said = (which: string, id: string) => [
      `Docker has networks ${which} and ${id}, both named blue`,
    ];
    const both = [network("a1"), network("b2")];
    assert.deepEqual(decided(both, []), { remove: [], notes: said("a1", "b2") });
    assert.deepEqual(decided(both, ["a1"], ["a1"]), { remove: [], notes: said("a1", "b2") });
    const users = decided(both, ["a1"], ["a1", "b2"]);
    assert.deepEqual(users, { remove: [], notes: said("b2", "a1") });
    const green = network("b2", { subnets: [GREEN] });
    assert.deepEqual(decided([network("a1"), green], ["a1"]).remove, []);
    const bridge = network("b2", { driver: "bridge", ipamDriver: "default" });
    assert.deepEqual(decided([network("a1"), bridge], ["a1"]).remove, []);
  });
});

describe("a user's creation that waited for the daemon", () => {
  it("finds the mesh's unused network of its subnet gone before it is answered", async () => {
    const world = await NetworkWorld.up(2);
    try {
      const host = world.host(1);
      await world.host(0).create("blue", specWith(RED));
      await world.settle(1000);
      const [own] = host.engine.nets.values();
      assert.ok(own);
      const held = { ...own, subnet: RED, vni: 1, gateway: "", mtuBytes: 1450 };
      host.maker.made("users");
      await host.maker.follows("users", held);
      assert.deepEqual(host.networks(), []);
      host.engine.addNetwork({ id: "users", name: "blue", subnets: [RED] });
      await world.settle();
      assert.deepEqual([...host.engine.nets.keys()], ["users"]);
      assert.deepEqual(
        world.hosts.map((one) => one.networks().length),
        [1, 1],
      );
    } finally {
      await world.down();
    }
  });

  it("takes nothing from a container, a user, or a daemon that is up for long", async () => {
    const world = await NetworkWorld.up(2);
    try {
      const [first, second] = world.hosts;
      assert.ok(first && second);
      await first.create("blue", specWith(RED));
      await world.settle(1000);
      const heldOf = (host: typeof first) => {
        const [net] = host.engine.nets.values();
        assert.ok(net);
        return { ...net, subnet: RED, vni: 1, gateway: "", mtuBytes: 1450 };
      };
      second.run("web", "blue");
      await second.maker.follows("users", heldOf(second));
      second.end("web");
      await world.settle(60_000);
      await second.maker.follows("users", heldOf(second));
      assert.deepEqual(second.networks(), [`blue ${RED}`]);
      await second.stop();
      await second.start();
      await second.maker.follows("users", heldOf(second));
      assert.deepEqual(second.networks(), [`blue ${RED}`], "of a former life: it may be anybody's");
    } finally {
      await world.down();
    }
  });

  it(
    "is waited for by the mesh's from the first call that tells its subnet",
    inWorld(async ({ world, cli }) => {
      const asked = { AddressSpace: "tsweave-local", Pool: RED };
      assert.equal(world.docker?.holds("blue", RED), false);
      await world.call("IpamDriver.RequestPool", asked);
      assert.equal(world.docker?.holds("blue", RED), true);
      await world.call("IpamDriver.ReleasePool", { PoolID: `tsweave:${RED}` });
      assert.equal(world.docker?.holds("blue", RED), false, "it failed");
      const first = await cli.networkCreate("blue", RED);
      const second = await cli.networkCreate("pink", RED);
      assert.deepEqual(world.host.followed, [[second, first]]);
    }),
  );
});
