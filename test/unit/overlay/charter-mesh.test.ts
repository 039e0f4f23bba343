/** Networks without a master: made and removed on any host, through partitions and restarts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { type NetworkHost, NetworkWorld, specWith } from "./charter-world.ts";

const RED = "10.50.0.0/16";
const GREEN = "10.60.0.0/16";
const BLUE = `blue ${RED}`;

function inMesh(count: number, test: (world: NetworkWorld) => Promise<void>): () => Promise<void> {
  return async () => {
    const world = await NetworkWorld.up(count);
    try {
      await test(world);
    } finally {
      await world.down();
    }
  };
}

const everywhere = (world: NetworkWorld) => world.hosts.map((host) => host.networks());
const codes = (host: NetworkHost) => host.maker.notes().map(({ code }) => code);

describe("networks of a mesh", () => {
  it(
    "appear on every engine with all their options, and go from all",
    inMesh(3, async (world) => {
      const labels: [string, string][] = [["com.docker.compose.network", "default"]];
      const spec = specWith(RED, {
        gateway: "10.50.0.9",
        internal: true,
        underlayMtuBytes: 9000,
        ipRange: "10.50.1.0/24",
        auxiliary: ["10.50.0.7"],
        labels,
      });
      await world.host(1).create("blue", spec);
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [BLUE]]);
      const [made] = world.host(2).engine.nets.values();
      assert.deepEqual(
        [made?.gateway, made?.internal, made?.ipRange, made?.auxiliary, made?.labels],
        ["10.50.0.9", true, "10.50.1.0/24", ["10.50.0.7"], Object.fromEntries(labels)],
      );
      assert.equal(made?.options["com.docker.network.driver.mtu"], "9000");
      assert.ok(await world.host(2).remove("blue"));
      await world.settle();
      assert.deepEqual(everywhere(world), [[], [], []]);
    }),
  );

  it(
    "are not made again while the engine hides one that it is about to remove",
    inMesh(2, async (world) => {
      const [first] = world.hosts;
      assert.ok(first);
      await first.create("blue", specWith(RED));
      await world.settle();
      let tell = (): void => undefined;
      first.engine.hidden = new Promise((resolve) => {
        tell = resolve;
      });
      const removed = first.remove("blue");
      first.maker.request();
      await world.settle();
      assert.deepEqual(first.networks(), [], "not put back behind the removal's back");
      tell();
      await removed;
      await world.settle();
      assert.deepEqual(everywhere(world), [[], []]);
    }),
  );

  it(
    "are put back when removed while another host uses them",
    inMesh(3, async (world) => {
      await world.host(0).create("blue", specWith(RED));
      await world.settle();
      world.host(2).run("web", "blue");
      assert.ok(await world.host(0).remove("blue"), "Docker does not refuse it");
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [BLUE]]);
      world.host(2).end("web");
      assert.ok(await world.host(0).remove("blue"));
      await world.settle();
      assert.deepEqual(everywhere(world), [[], [], []]);
    }),
  );

  it(
    "do not come back with a host that was off, nor go under its containers",
    inMesh(4, async (world) => {
      await world.host(0).create("blue", specWith(RED));
      await world.settle();
      world.host(3).run("web", "blue");
      await world.host(2).stop();
      await world.host(3).stop();
      await world.host(0).remove("blue");
      await world.settle();
      await world.host(2).start();
      await world.host(3).start();
      await world.settle();
      assert.deepEqual(everywhere(world), [[], [], [], [BLUE]]);
      assert.deepEqual(codes(world.host(3)), ["NETWORK_KEPT"]);
      assert.match(world.host(3).maker.notes()[0]?.text ?? "", /web/);
      world.host(3).end("web");
      await world.settle();
      assert.deepEqual(everywhere(world), [[], [], [], []]);
      assert.deepEqual(codes(world.host(3)), []);
    }),
  );

  it(
    "go at once when the last endpoint ended without a call",
    inMesh(2, async (world) => {
      const kept = world.host(1);
      await world.host(0).create("blue", specWith(RED));
      await world.settle();
      kept.run("web", "blue");
      world.cut(new Map([[1, 1]]));
      await world.host(0).remove("blue");
      world.heal();
      await world.settle();
      assert.deepEqual(codes(kept), ["NETWORK_KEPT"]);
      for (const id of kept.engine.nets.keys()) kept.engine.unlist(id, `${kept.id}-web`);
      await world.settle(1000);
      assert.deepEqual(kept.networks(), [BLUE], "nobody has told yet");
      kept.maker.freed();
      await world.settle(200);
      assert.deepEqual([kept.networks(), codes(kept)], [[], []]);
    }),
  );

  it(
    "stay removed when all that heard of it first are lost for good",
    inMesh(6, async (world) => {
      await world.host(0).create("blue", specWith(RED));
      await world.settle();
      await world.host(5).stop();
      await world.host(0).remove("blue");
      await world.settle();
      for (const at of [0, 1, 2]) await world.host(at).stop();
      for (const at of [3, 4])
        for (const lost of [0, 1, 2]) {
          world.host(at).tables.drop(world.host(lost).id);
        }
      world.host(3).book.membershipChanged();
      world.host(4).book.membershipChanged();
      await world.settle();
      await world.host(5).start();
      await world.settle();
      assert.deepEqual(everywhere(world).slice(3), [[], [], []]);
    }),
  );

  it(
    "made on both sides of a cut are one when they meet",
    inMesh(4, async (world) => {
      world.cut(
        new Map([
          [2, 1],
          [3, 1],
        ]),
      );
      await world.host(0).create("blue", specWith(RED));
      await world.host(3).create("blue", specWith(RED));
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [BLUE], [BLUE]]);
      world.heal();
      await world.settle();
      assert.deepEqual(world.hosts.flatMap(codes), []);
      await world.host(1).remove("blue");
      await world.settle();
      assert.deepEqual(everywhere(world), [[], [], [], []]);
    }),
  );

  it(
    "made with different subnets have one winner; the other keeps its containers",
    inMesh(4, async (world) => {
      world.cut(
        new Map([
          [2, 1],
          [3, 1],
        ]),
      );
      await world.host(0).create("blue", specWith(RED));
      await world.host(3).create("blue", specWith(GREEN));
      await world.settle();
      world.host(3).run("web", "blue");
      world.heal();
      await world.settle();
      const green = `blue ${GREEN}`;
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [green], [green]]);
      assert.deepEqual(world.hosts.map(codes), [
        [],
        [],
        ["NETWORK_CONFLICT"],
        ["NETWORK_CONFLICT"],
      ]);
      assert.match(world.host(3).maker.notes()[0]?.text ?? "", /10\.60\.0\.0\/16 here.*web keep/);
      // As told: it goes here, comes back with the subnet that counts; the user's host is next.
      await world.host(2).remove("blue");
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [BLUE], [green]]);
      world.host(3).end("web");
      await world.host(3).remove("blue");
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE], [BLUE], [BLUE]]);
      assert.deepEqual(world.hosts.flatMap(codes), []);
    }),
  );

  it(
    "survive a removal that did not know of them",
    inMesh(2, async (world) => {
      world.cut(new Map([[1, 1]]));
      await world.host(0).create("blue", specWith(RED));
      await world.host(1).create("blue", specWith(RED));
      await world.settle();
      await world.host(0).remove("blue");
      await world.settle();
      world.heal();
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE]]);
    }),
  );

  it(
    "are remembered by a host that starts alone, which decides what it heard of before",
    inMesh(2, async (world) => {
      await world.host(0).create("blue", specWith(RED));
      await world.host(0).create("pink", specWith(GREEN));
      await world.settle();
      await world.host(0).remove("pink");
      await world.settle();
      await world.host(1).stop();
      world.cut(new Map([[1, 1]]));
      await world.host(1).start();
      world.host(1).lose();
      await world.settle(40_000);
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE]]);
      await world.host(1).remove("blue");
      await world.settle();
      await world.host(0).stop();
      world.heal();
      await world.host(0).start();
      await world.settle();
      assert.deepEqual(everywhere(world), [[], []]);
    }),
  );

  it(
    "are on disk before anyone hears of them",
    inMesh(2, async (world) => {
      const { book, tables, store } = world.host(0);
      store.failure = new Error("no space left");
      await assert.rejects(book.found("blue", specWith(RED)), /no space left/);
      assert.deepEqual([book.charters().size, tables.rows("charters").length], [0, 0]);
      store.failure = undefined;
      await book.found("blue", specWith(RED));
      assert.equal(tables.rows("charters").length, 1);
      await world.settle();
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE]]);
    }),
  );

  it(
    "come back to an engine that lost them, and leave one of another driver alone",
    inMesh(2, async (world) => {
      await world.host(0).create("blue", specWith(RED));
      await world.settle();
      world.host(1).lose();
      const id = "f".repeat(64);
      const foreign = { driver: "bridge", ipamDriver: "default", subnets: ["172.20.0.0/16"] };
      world.host(1).engine.addNetwork({ id, name: "green", ...foreign });
      await world.host(0).create("green", specWith(GREEN));
      await world.settle(40_000);
      assert.deepEqual(world.host(1).networks(), [BLUE, "green 172.20.0.0/16"].sort());
      assert.deepEqual(codes(world.host(1)), ["NETWORK_NOT_MADE"]);
    }),
  );

  it(
    "with other options are told of, and made anew once they are removed there",
    inMesh(2, async (world) => {
      world.cut(new Map([[1, 1]]));
      await world.host(0).create("blue", specWith(RED, { internal: true }));
      await world.host(1).create("blue", specWith(RED));
      await world.settle();
      world.host(1).run("web", "blue");
      world.heal();
      await world.settle();
      assert.match(world.host(1).maker.notes()[0]?.text ?? "", /--internal/);
      world.host(1).end("web");
      await world.settle();
      assert.deepEqual(codes(world.host(1)), ["NETWORK_DIFFERS"]);
      await world.host(1).remove("blue");
      await world.settle();
      assert.deepEqual(world.hosts.flatMap(codes), []);
      assert.deepEqual(everywhere(world), [[BLUE], [BLUE]]);
      assert.equal([...world.host(1).engine.nets.values()][0]?.internal, true);
    }),
  );
});

/** One random life of four hosts; at its end everybody does what the notes say. */
async function live(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const pick = (below: number) => random.u32() % below;
  const world = await NetworkWorld.up(4);
  const running = new Map<string, NetworkHost>();
  try {
    for (let step = 0; step < 14; step++) {
      await act(world, running, pick, step);
      if (pick(2) === 0) await world.settle(pick(6000));
    }
    world.heal();
    for (const host of world.hosts) if (!host.up) await host.start();
    await world.settle();
    for (const [container, host] of running) {
      const ids = [...host.engine.nets.keys()];
      assert.ok(
        ids.some((id) => host.usersOf(id).includes(container)),
        `${container} was cut off`,
      );
      host.end(container);
    }
    await world.settle();
    for (let round = 0; round < 6; round++) {
      for (const host of world.hosts) {
        for (const { network } of host.maker.notes()) await host.remove(network);
      }
      await world.settle();
    }
    const views = everywhere(world).map((view) => JSON.stringify(view));
    assert.equal(new Set(views).size, 1, `seed ${seed}: ${views.join(" | ")}`);
    assert.deepEqual(world.hosts.flatMap(codes), [], `seed ${seed}`);
    await stayRemoved(world, pick(4), `seed ${seed}`);
    const makers = world.hosts.map(({ engine }) => engine.refused);
    assert.deepEqual(makers, [0, 0, 0, 0], `seed ${seed}: tried to remove under a container`);
  } finally {
    await world.down();
  }
}

/** What is removed while one host is off does not come back with it. */
async function stayRemoved(world: NetworkWorld, off: number, seed: string): Promise<void> {
  await world.host(off).stop();
  const other = world.host((off + 1) % 4);
  for (const name of ["blue", "pink"]) await other.remove(name);
  await world.settle();
  await world.host(off).start();
  await world.settle();
  assert.deepEqual(everywhere(world), [[], [], [], []], seed);
}

async function act(
  world: NetworkWorld,
  running: Map<string, NetworkHost>,
  pick: (below: number) => number,
  step: number,
): Promise<void> {
  const host = world.host(pick(4));
  const name = ["blue", "pink"][pick(2)] ?? "blue";
  const kind = pick(8);
  if (kind <= 1 && host.up) {
    const spec = specWith(pick(3) === 0 ? GREEN : RED, { internal: pick(5) === 0 });
    await host.create(name, spec).catch(() => undefined);
  } else if (kind === 2 && host.up) await host.remove(name);
  else if (kind === 3 && host.run(`c${step}`, name)) running.set(`c${step}`, host);
  else if (kind === 4) {
    const [container] = [...running.keys()];
    if (container === undefined) return;
    running.get(container)?.end(container);
    running.delete(container);
  } else if (kind === 5) world.cut(new Map([0, 1, 2, 3].map((at) => [at, pick(2)])));
  else if (kind === 6) world.heal();
  else if (host.up) await host.stop();
  else await host.start();
}

describe("any history of makings, removals, cuts and restarts", () => {
  it("ends with the same networks on all engines, and none went under a container", async () => {
    for (let seed = 1; seed <= 60; seed++) await live(seed);
  });
});
