/** `--ipalloc-init`: what may be said, what it does alone, together, after losses; refusals. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { checkInitCount, initModeText, parseInitMode } from "../../../ipalloc/init-mode.ts";
import { firstRoster } from "../../../ipalloc/roster.ts";
import { boundRoster, seedFounding, seedStore, supersedes } from "../../../ipalloc/seeds.ts";
import { SimChecker } from "./sim-checker.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";
const seed = (...names: string[]) => ({ kind: "seed", names }) as const;
const OBSERVER = { kind: "observer" } as const;

/** Hosts h0, h1, … that are all told the same. */
function meshOf(count: number, init: SimMesh["hosts"][number]["init"], seedOfTest = 1): SimMesh {
  const mesh = new SimMesh(seedOfTest, count);
  for (const host of mesh.hosts) host.init = init;
  return mesh;
}

async function launchAll(mesh: SimMesh): Promise<void> {
  const all = mesh.hosts.map(({ index }) => index);
  for (const index of all) {
    const others = all.filter((other) => other !== index);
    await mesh.launch(index, others);
    await within(mesh, mesh.ipalloc(index).openPool(POOL));
  }
}

const ownedBy = (mesh: SimMesh, viewer: number) =>
  Object.fromEntries(
    mesh
      .ipalloc(viewer)
      .status()
      .pools.flatMap(({ owned }) => owned.map(({ peer, addresses }) => [peer, addresses])),
  );

describe("the option", () => {
  test("has one spelling each, and says what is wrong", () => {
    for (const text of ["consensus", "consensus=3", "seed=a,b.example", "observer"]) {
      assert.equal(initModeText(parseInitMode(text)), text);
    }
    const refused: readonly [string, RegExp][] = [
      ["paxos", /'paxos' is not a way to found a mesh/],
      ["", /'' is not a way/],
      ["Consensus", /not a way/],
      ["observer=1", /not a way/],
      ["consensus=0", /consensus='0' is not a number of peers/],
      ["consensus=03", /not a number of peers/],
      ["consensus=257", /not a number of peers/],
      ["seed", /seed='' is not a peer name/],
      ["seed=a,,b", /seed='' is not a peer name/],
      ["seed=a b", /seed='a b' is not a peer name/],
      ["seed=a,b,a", /names a twice/],
      [`seed=${Array.from({ length: 257 }, (_, n) => n)}`, /names 257 peers/],
    ];
    for (const [text, message] of refused) {
      assert.throws(() => parseInitMode(text), { code: "CONFIG", message });
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        try {
          assert.equal(initModeText(parseInitMode(text)), text);
        } catch (error) {
          assert.equal((error as { code?: string }).code, "CONFIG");
        }
      }),
    );
  });

  test("a count below the peers that are named is refused with the choices", () => {
    assert.throws(() => checkInitCount({ kind: "consensus", count: 2 }, 3), {
      code: "CONFIG",
      message: /consensus=2, but 3 peers are named, this one included/,
      hint: /use consensus=3 or more, leave the number out, or name fewer/,
    });
    checkInitCount({ kind: "consensus", count: 3 }, 3);
    checkInitCount({ kind: "consensus" }, 9);
  });
});

describe("consensus=N", () => {
  test("nobody founds before a majority of N is there, however few are named", async () => {
    const mesh = meshOf(3, { kind: "consensus", count: 3 });
    await mesh.launch(0, []);
    await mesh.run(60_000);
    const { state, text } = mesh.ipalloc(0).status().founding;
    assert.equal(state, "waiting", "a peer without peers founds alone only when it is not counted");
    assert.equal(text, "waiting for 1 more of 3 declared peers: 2 that are not named");
    await mesh.launch(1, [0]);
    await mesh.run(10_000);
    assert.equal(mesh.ipalloc(0).status().founding.state, "founded");
    assert.equal(mesh.ipalloc(0).status().founding.text, "founded by 2 peers");
  });

  test("consensus=1 founds alone", async () => {
    const mesh = meshOf(1, { kind: "consensus", count: 1 });
    await mesh.launch(0, []);
    await mesh.run(10);
    assert.equal(mesh.ipalloc(0).status().founding.state, "founded");
  });
});

describe("observer", () => {
  test("never founds nor votes, says so, and is given space by those who found", async () => {
    const mesh = meshOf(3, { kind: "consensus" });
    mesh.host(2).init = OBSERVER;
    await mesh.launch(2, []);
    await within(mesh, mesh.ipalloc(2).openPool(POOL));
    const work = mesh.ipalloc(2).allocate(POOL, "a");
    await assert.rejects(within(mesh, work), {
      code: "NOT_FOUNDED",
      message: /is an observer and waits for a mesh that others found: no peer is in reach/,
      hint: /launch a peer that founds \(not an observer\) and name it here/,
    });
    // h0 names the observer and no one else: the observer's vote cannot be had.
    await mesh.launch(0, [2]);
    await mesh.run(30_000);
    assert.match(
      mesh.ipalloc(0).status().founding.text,
      /1 votes are no majority of every voter's; h2 is an observer and never votes/,
    );
    assert.match(mesh.ipalloc(2).status().founding.text, /h0 not founded yet/);
    await mesh.launch(1, [0, 2]);
    mesh.crash(0);
    await mesh.launch(0, [1, 2]);
    await mesh.run(10_000);
    assert.equal(mesh.ipalloc(0).status().founding.text, "founded by 2 peers");
    for (const index of [0, 1]) await within(mesh, mesh.ipalloc(index).openPool(POOL));
    assert.match(await within(mesh, mesh.ipalloc(2).allocate(POOL, "a")), /^10\.40\.0\./);
    mesh.crash(2);
    await mesh.launch(2);
    mesh.crash(0);
    mesh.host(0).init = OBSERVER;
    await assert.rejects(mesh.launch(0), {
      code: "CONFIG",
      message: /this host is a founder of mesh [0-9a-f]{16}, no observer/,
      hint: /launch without it to stay in it, or 'tsweave reset'/,
    });
  });
});

describe("seed=", () => {
  test("the order of names is nothing, another list is another mesh", () => {
    const [ab, ba, abc] = [
      ["a", "b"],
      ["b", "a"],
      ["a", "b", "c"],
    ].map(seedFounding);
    assert.deepEqual(ab, ba);
    assert.notEqual(ab?.meshId, abc?.meshId);
    assert.notEqual(seedStore("x", "a"), seedStore("y", "a"));
  });

  test("bindings join: the earlier, then the smaller id; rosters follow", () => {
    const founding = seedFounding(["a", "b"]);
    const store = seedStore(founding.meshId, "a");
    const [early, late] = [1, 2].map((atMs) => ({ store, peer: "f".repeat(32), atMs }));
    assert.ok(early && late && supersedes(early, late) && !supersedes(late, early));
    assert.ok(supersedes({ ...late, peer: "0".repeat(32) }, late));
    const roster = boundRoster(firstRoster(founding), new Map([[store, early]]));
    assert.equal(roster.members.find((member) => member.store === store)?.peer, early.peer);
  });

  test("every seed allocates alone from birth, and together they are one mesh", async () => {
    const mesh = meshOf(3, seed("h0", "h1", "h2"));
    const checker = new SimChecker(mesh, parseCidr(POOL));
    for (const index of [0, 1, 2]) mesh.partition([index]);
    await launchAll(mesh);
    const given = [];
    for (const index of [0, 1, 2]) {
      given.push(await within(mesh, mesh.ipalloc(index).allocate(POOL, `k${index}`)));
    }
    assert.equal(new Set(given).size, 3, "nobody heard of anybody");
    mesh.heal();
    await mesh.run(15_000);
    for (const index of [0, 1, 2]) {
      assert.deepEqual(ownedBy(mesh, index), { h0: 86, h1: 85, h2: 85 });
      assert.deepEqual(mesh.ipalloc(index).problems(), []);
      assert.equal(mesh.ipalloc(index).roster().self, "member");
    }
    checker.converged();
    const ids = mesh.hosts.map(({ index }) => mesh.ipalloc(index).status().store);
    for (const index of [0, 1, 2]) {
      mesh.crash(index);
      await mesh.launch(index);
      assert.equal(mesh.ipalloc(index).status().store, ids[index], "a restart keeps its share");
    }
  });

  test("seeds in reach of one another begin at once; others are given space", async () => {
    const mesh = meshOf(4, seed("h0", "h1"));
    mesh.host(3).init = { kind: "consensus" };
    await launchAll(mesh);
    await mesh.run(1000);
    assert.equal(mesh.ipalloc(0).status().founding.text, "founded by 2 peers");
    await mesh.run(15_000);
    for (const index of [2, 3]) {
      assert.match(await within(mesh, mesh.ipalloc(index).allocate(POOL, "a")), /^10\.40\.0\./);
      assert.deepEqual(mesh.ipalloc(index).problems(), []);
    }
  });

  test("a host that lost its disk does not take its share again if anyone knows", async () => {
    const mesh = meshOf(3, seed("h0", "h1", "h2"));
    await launchAll(mesh);
    await mesh.run(5000);
    const former = mesh.ipalloc(0).status().store;
    mesh.loseDisk(0);
    mesh.newIdentity(0);
    await mesh.launch(0);
    await within(mesh, mesh.ipalloc(0).openPool(POOL));
    await mesh.run(20_000);
    const { store } = mesh.ipalloc(0).status();
    assert.notEqual(store, former);
    const [problem] = mesh.ipalloc(0).problems();
    assert.equal(problem?.code, "SEED_TAKEN");
    assert.match(problem?.text ?? "", /the share of seed h0 belongs to peer 0000000/);
    assert.match(await within(mesh, mesh.ipalloc(0).allocate(POOL, "a")), /^10\.40\.0\./);
  });

  test("a share that was bound twice in a cut is given up by the later peer", async () => {
    const mesh = meshOf(3, seed("h0", "h1", "h2"));
    await launchAll(mesh);
    await mesh.run(5000);
    const former = mesh.ipalloc(0).status().store;
    // The same name on another host, which can reach nobody: nothing can tell it.
    const twin = mesh.addTwin(0);
    mesh.partition([twin.index]);
    await mesh.launch(twin.index, [1, 2]);
    await within(mesh, mesh.ipalloc(twin.index).openPool(POOL));
    await mesh.run(5000);
    assert.equal(mesh.ipalloc(twin.index).status().store, former, "the hole of this mode");
    mesh.heal();
    await mesh.run(30_000);
    assert.equal(mesh.ipalloc(0).status().store, former, "the earlier stays");
    assert.notEqual(mesh.ipalloc(twin.index).status().store, former);
    assert.equal(mesh.ipalloc(twin.index).roster().self, "member");
  });

  test("lists that differ are two meshes, and both sides say why", async () => {
    const mesh = meshOf(2, seed("h0", "h1"));
    mesh.host(1).init = seed("h0", "h1", "h2");
    await launchAll(mesh);
    await mesh.run(20_000);
    for (const [index, other, list] of [
      [0, "h1", "h0,h1,h2"],
      [1, "h0", "h0,h1"],
    ] as const) {
      const work = mesh.ipalloc(index).allocate(POOL, "a");
      await assert.rejects(within(mesh, work), {
        code: "NOT_FOUNDED",
        message: new RegExp(`${other} is of mesh [0-9a-f]{16} \\(seed=${list}\\)`),
        hint: /use the same --ipalloc-init on all hosts/,
      });
    }
    const apart = meshOf(2, seed("h0", "h1"));
    apart.host(1).init = seed("h0", "h1", "h2");
    apart.partition([0]);
    await launchAll(apart);
    await apart.run(5000);
    apart.heal();
    await apart.run(10_000);
    for (const [index, list] of [
      [0, "h0,h1,h2"],
      [1, "h0,h1"],
    ] as const) {
      const [problem] = apart.ipalloc(index).problems();
      assert.equal(problem?.code, "MESH_CONFLICT");
      assert.match(
        problem?.text ?? "",
        new RegExp(`belong to mesh [0-9a-f]{16} \\(seed=${list}\\)`),
      );
    }
  });

  test("what contradicts the stored state is refused with the choices", async () => {
    const mesh = meshOf(1, seed("h0", "h1"));
    await mesh.launch(0, []);
    await mesh.run(3000);
    const again = async (init: (typeof mesh.hosts)[number]["init"]) => {
      mesh.crash(0);
      mesh.host(0).init = init;
      await mesh.launch(0);
    };
    await assert.rejects(again(seed("h0", "h2")), {
      code: "CONFIG",
      message: /belongs to mesh [0-9a-f]{16}, founded by seed=h0,h1/,
      hint: /launch with seed=h0,h1 or without it to stay in it, or 'tsweave reset'/,
    });
    await assert.rejects(again(OBSERVER), /is a founder of mesh/);
    await again({ kind: "consensus" });
    await again(seed("h1", "h0"));

    const agreed = meshOf(1, { kind: "consensus" });
    await agreed.launch(0, []);
    await agreed.run(100);
    agreed.crash(0);
    agreed.host(0).init = seed("h0");
    await assert.rejects(agreed.launch(0), {
      code: "CONFIG",
      message: /belongs to mesh [0-9a-f]{16}, founded by agreement/,
      hint: /launch without it/,
    });
  });

  test("under crashes, torn writes and cuts no share is doubled", async () => {
    for (let run = 1; run <= 40; run++) {
      const mesh = meshOf(3, seed("h0", "h1", "h2"), run);
      mesh.faults.loss = 0.2;
      mesh.faults.delayMsMax = 300;
      mesh.faults.slowDisk = 0.7;
      const checker = new SimChecker(mesh, parseCidr(POOL));
      for (const { index } of mesh.hosts) {
        await mesh.launch(
          index,
          [0, 1, 2].filter((other) => other !== index),
        );
      }
      for (let step = 0; step < 15; step++) {
        const index = mesh.random.below(3);
        const { process } = mesh.host(index);
        const dice = mesh.random.below(10);
        if (dice < 4) mesh.crash(index);
        else if (dice < 8 && process === undefined) await mesh.launch(index);
        else if (dice === 8) mesh.partition([index]);
        else mesh.heal();
        await mesh.run(mesh.random.below(900));
      }
      mesh.heal();
      mesh.faults.loss = 0;
      for (const { index, process } of mesh.hosts) {
        if (process === undefined) await mesh.launch(index);
        await within(mesh, mesh.ipalloc(index).openPool(POOL));
      }
      await mesh.run(20_000);
      if (checker.failure !== undefined) throw checker.failure;
      checker.converged();
      assert.deepEqual(ownedBy(mesh, 0), { h0: 86, h1: 85, h2: 85 }, `seed ${run}`);
    }
  });
});
