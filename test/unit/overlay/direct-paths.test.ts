/** Direct paths against a host of memory: what is written, in which order, and when it goes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { macOf } from "../../../overlay/address.ts";
import { DirectPaths } from "../../../overlay/direct/direct-paths.ts";
import type { DirectNetwork, DirectScene, Segment } from "../../../overlay/direct/model.ts";
import { DETECTION_MS } from "../../../overlay/direct/probing.ts";
import { DRAIN_MS } from "../../../overlay/direct/way-tables.ts";
import type { RemoteEndpoint } from "../../../overlay/model.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const OWN = "02:00:00:00:00:01";
const FAR = "02:00:00:00:00:02";
const VTEP = "192.0.2.2";
const BLUE: DirectNetwork = {
  ...{ name: "blue", netns: "tsweave-aaaaaaaaaa", subnet: "10.32.0.0/12", gateway: "10.32.0.1" },
  ...{ vni: 256, mtuBytes: 1450, isRefused: false },
};
const DB: RemoteEndpoint = {
  ...{ id: "db", network: "blue", ip: "10.33.0.6", mac: macOf("10.33.0.6") },
  ...{ vtep: VTEP, peer: "p2" },
};

class World {
  readonly clock = new VirtualClock();
  /** What happened, in order: `nft TEXT`, `way`, `steer MAC direct|tunnel`. */
  readonly told: string[] = [];
  isAnswering = true;
  isFlushed = true;
  failure: Error | undefined;
  hop: ReturnType<Segment["hops"]["get"]> = {
    ...{ device: "eth0", deviceMac: OWN, deviceMtuBytes: 1500, mac: FAR },
  };
  scene: DirectScene = {
    networks: [BLUE],
    known: [{ name: "blue", subnet: BLUE.subnet }],
    peers: [{ id: "p2", name: "h2", vtep: VTEP, life: 1 }],
    inUse: new Set(["blue"]),
    remotes: [DB],
  };
  readonly devices = new Map([["eth0", OWN]]);
  #heard: (number: number, from: string) => void = () => undefined;
  readonly paths = new DirectPaths({
    clock: this.clock,
    log: new QuietLog(),
    random: new SeededRandom(1),
    host: {
      look: async () => ({
        hops: new Map(this.hop === undefined ? [] : [[VTEP, this.hop]]),
        devices: new Map(this.devices),
      }),
      makeProbeEnds: async () => {
        this.devices.set("tswp0", "02:00:00:00:00:09");
      },
      makeWay: async () => {
        this.told.push("way");
        this.devices.set("tswdaaaaaaaaaa", "02:00:00:00:00:08");
      },
      apply: async (script) => {
        if (this.failure !== undefined) throw this.failure;
        this.told.push(`nft ${script}`);
      },
      hasTables: async () => !this.isFlushed,
    },
    openSocket: async (_secret, heard) => {
      this.#heard = heard;
      return {
        port: 5000,
        send: (_vni, number, to) => {
          if (this.isAnswering) this.clock.timer("answer", 1, () => this.#heard(number, to));
        },
        close: () => undefined,
      };
    },
    scene: () => this.scene,
    steer: async (changes) => {
      for (const { mac } of changes) {
        const isDirect = this.paths.isDirect(BLUE.netns, mac, VTEP);
        this.told.push(`steer ${mac} ${isDirect ? "direct" : "tunnel"}`);
      }
    },
  });

  async run(ms: number): Promise<void> {
    for (let past = 0; past < ms; past += 10) {
      await this.clock.run(10);
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  }

  at(what: string | RegExp, from = 0): number {
    return this.told.findIndex(
      (line, index) =>
        index >= from && (typeof what === "string" ? line === what : what.test(line)),
    );
  }
}

async function risen(): Promise<World> {
  const world = new World();
  await world.paths.start();
  await world.run(3000);
  world.isFlushed = false;
  assert.ok(world.paths.isDirect(BLUE.netns, DB.mac, VTEP), world.told.join("\n"));
  return world;
}

const CARRIES = /tsweave_direct.*02:42:0a:21:00:06 : 02:00:00:00:00:02/s;

test("frames are steered when the way, the table and the answers are there", async () => {
  const { told } = await risen();
  const steer = told.indexOf(`steer ${DB.mac} direct`);
  const carried = told.findIndex((line: string) => CARRIES.test(line));
  assert.ok(told.indexOf("way") >= 0 && told.indexOf("way") < carried, "way, then table");
  assert.ok(carried < steer, "table, then steer");
});

test("without answers nothing is steered, and the reason is told", async () => {
  const world = new World();
  world.isAnswering = false;
  await world.paths.start();
  await world.run(20_000);
  assert.equal(world.at(/^steer/), -1);
  assert.match(world.paths.paths()[0]?.why ?? "", /not answered/);
});

test("silence: back to the tunnel in time, and the table carries on for stragglers", async () => {
  const world = await risen();
  const from = world.told.length;
  world.isAnswering = false;
  await world.run(DETECTION_MS + 50);
  assert.ok(world.at(`steer ${DB.mac} tunnel`, from) >= 0);
  assert.match(world.paths.paths()[0]?.why ?? "", /no longer answered/);
  assert.equal(world.at(/delete element/, from), -1, "what is under way still passes");
  await world.run(DRAIN_MS + 20_000);
  assert.ok(world.at(/delete element.*02:42:0a:21:00:06/, from) >= 0);
});

test("a peer that is withdrawn is let in for a while, and answered no more", async () => {
  const world = await risen();
  const from = world.told.length;
  world.scene = { ...world.scene, peers: [], remotes: [] };
  world.paths.changed();
  await world.run(200);
  assert.ok(world.at(`steer ${DB.mac} tunnel`, from) >= 0);
  assert.equal(world.at(/delete table netdev tsweave_direct/, from), -1);
  await world.run(DRAIN_MS + 20_000);
  const last = world.told.at(-1) ?? "";
  assert.match(last, /delete table netdev tsweave_direct\n/);
  assert.doesNotMatch(last, /chain/);
});

test("a second network with its addresses takes it back into the tunnel", async () => {
  const world = await risen();
  const from = world.told.length;
  world.scene = {
    ...world.scene,
    known: [...world.scene.known, { name: "red", subnet: "10.33.0.0/24" }],
  };
  world.paths.changed();
  await world.run(200);
  assert.ok(world.at(`steer ${DB.mac} tunnel`, from) >= 0);
  assert.match(world.paths.paths()[0]?.why ?? "", /network red/);
});

test("a table that a firewall flushed is made again; a failure is told", async () => {
  const world = await risen();
  const from = world.told.length;
  world.isFlushed = true;
  await world.run(10_500);
  world.isFlushed = false;
  assert.ok(world.at(CARRIES, from) >= 0);
  world.isFlushed = true;
  world.failure = new Error("nft: exit 1");
  await world.run(11_000);
  assert.equal(world.paths.paths()[0]?.why, "nft: exit 1");
  world.failure = undefined;
  await world.run(11_000);
  assert.equal(world.paths.paths()[0]?.why, null);
});

test("a new endpoint goes through the tunnel first, and directly a moment later", async () => {
  const world = await risen();
  const ip = "10.33.0.7";
  const [from, mac] = [world.told.length, macOf(ip)];
  world.scene = { ...world.scene, remotes: [DB, { ...DB, id: "new", ip, mac }] };
  assert.ok(!world.paths.isDirect(BLUE.netns, mac, VTEP));
  world.paths.changed();
  await world.run(300);
  const added = world.at(/^nft add element .*02:42:0a:21:00:07/, from);
  assert.ok(added >= 0 && added < world.at(`steer ${mac} direct`, from));
  assert.ok(!world.paths.isDirect(BLUE.netns, mac, "192.0.2.3"), "not at another host");
});

test("an orderly stop goes back to the tunnels and leaves the tables", async () => {
  const world = await risen();
  const from = world.told.length;
  await world.paths.stop();
  assert.deepEqual(world.told.slice(from), [`steer ${DB.mac} tunnel`]);
  await world.run(30_000);
  assert.equal(world.told.length, from + 1);
});

test("what a former run left is used while the peers are still being met", async () => {
  const world = new World();
  world.isFlushed = false;
  await world.paths.start();
  await world.run(9000);
  assert.deepEqual(world.told, []);
  await world.run(4000);
  assert.ok(world.paths.isDirect(BLUE.netns, DB.mac, VTEP));
});
