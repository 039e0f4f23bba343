/** The founding: whose votes make a quorum, what an acceptor may say, and one value per mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  accept,
  type Ballot,
  boundValue,
  compareBallots,
  decodeAnswer,
  encodeAnswer,
  NO_VOTE,
  promise,
  type Vote,
} from "../../../ipalloc/consensus.ts";
import {
  decodeFounding,
  encodeFounding,
  makeFounding,
  quorumOf,
  type Voter,
} from "../../../ipalloc/founding.ts";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";
import { SimMesh } from "./sim-mesh.ts";

const peerOf = (index: number) => index.toString(16).padStart(32, "0");
const storeOf = (index: number) => index.toString(16).padStart(16, "0");

function voter(index: number, declared: readonly number[], count = 0): Voter {
  const all = new Set([index, ...declared]);
  return {
    peer: peerOf(index),
    store: storeOf(index),
    address: `10.0.0.${index}:6783`,
    declared: [...all].map((other) => `10.0.0.${other}:6783`),
    count,
  };
}

function foundingOf(index: number) {
  return makeFounding(storeOf(index), [{ store: storeOf(index), peer: peerOf(index) }]);
}

test("a quorum has a majority of what each of its members declared", () => {
  const ids = (voters: readonly Voter[]) => quorumOf(voters).map(({ peer }) => Number(`0x${peer}`));
  assert.deepEqual(ids([voter(1, []), voter(2, [1, 3])]), [1, 2]);
  assert.deepEqual(ids([voter(1, [2]), voter(2, [1, 3, 4, 5])]), [], "2 needs three of five");
  assert.deepEqual(ids([voter(1, [2, 3]), voter(2, [1, 3])]), [1, 2]);
  assert.deepEqual(ids([voter(1, [2, 3])]), []);
  assert.deepEqual(ids([voter(1, [2]), voter(2, [1]), voter(9, [7, 8])]), [1, 2], "9 is left out");
});

test("a count stands for peers that were not named", () => {
  const ids = (voters: readonly Voter[]) => quorumOf(voters).map(({ peer }) => Number(`0x${peer}`));
  assert.deepEqual(ids([voter(1, [], 3)]), []);
  assert.deepEqual(ids([voter(1, [], 3), voter(2, [], 3)]), [1, 2]);
  assert.deepEqual(ids([voter(1, [2], 5), voter(3, [], 3)]), [], "1 needs three of five");
  assert.deepEqual(ids([voter(1, [2, 8], 3), voter(3, [1], 3)]), [], "no name is left over for 3");
  assert.deepEqual(ids([voter(1, [2], 2), voter(2, [1], 1)]), [1, 2], "the names decide");
});

test("two quorums of peers that declare the same set always meet", () => {
  const sets = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.nat(127), fc.nat(127));
  fc.assert(
    fc.property(sets, ([count, left, right]) => {
      const all = Array.from({ length: count }, (_, index) => index + 1);
      const pick = (mask: number) => all.filter((index) => (mask >> index) & 1);
      const [a, b] = [left, right].map((mask) =>
        quorumOf(pick(mask).map((index) => voter(index, all))),
      );
      if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return;
      assert.ok(a.some(({ peer }) => b.some((other) => other.peer === peer)));
    }),
    { numRuns: 1000 },
  );
});

test("an acceptor keeps its promises and a bound value stays", () => {
  const ballot = fc.record({ round: fc.nat(4), peer: fc.constantFrom(peerOf(1), peerOf(2)) });
  const question = fc.record({
    ballot,
    accept: fc.boolean(),
    value: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(question, { maxLength: 20 }), (questions) => {
      let vote: Vote = NO_VOTE;
      let highest: Ballot | undefined;
      for (const { ballot: asked, accept: isAccept, value } of questions) {
        const next = isAccept ? accept(vote, asked, foundingOf(value)) : promise(vote, asked);
        const allowed = highest === undefined || compareBallots(asked, highest) >= 0;
        assert.equal(next !== undefined, allowed);
        if (next === undefined) continue;
        if (!isAccept) assert.equal(next.accepted, vote.accepted, "a promise forgets nothing");
        highest = asked;
        vote = next;
      }
    }),
  );
  const at = (round: number, index: number) => ({
    ballot: { round, peer: peerOf(1) },
    value: foundingOf(index),
  });
  assert.deepEqual(boundValue([undefined, at(2, 1), at(5, 2), at(3, 3)]), foundingOf(2));
  assert.equal(boundValue([undefined]), undefined);
});

test("records and answers survive the wire; disorder is refused", () => {
  const founding = makeFounding(storeOf(7), [voter(3, []), voter(1, []), voter(3, [])]);
  assert.deepEqual(
    founding.founders.map(({ store }) => store),
    [storeOf(1), storeOf(3)],
  );
  const wire = decodeWire(encodeWire(encodeFounding(founding)));
  assert.deepEqual(decodeFounding(wire, "test"), founding);
  const accepted = { ballot: { round: 3, peer: peerOf(2) }, value: founding };
  for (const answer of [
    { type: "founded", value: founding },
    { type: "refused", promised: accepted.ballot },
    { type: "granted", voter: voter(1, [2]), accepted },
    { type: "granted", voter: voter(1, [2]), accepted: undefined },
  ] as const) {
    assert.deepEqual(decodeAnswer(decodeWire(encodeWire(encodeAnswer(answer)))), answer);
  }
  const pair = (index: number) => [storeOf(index), peerOf(index)];
  for (const founders of [[], [pair(2), pair(1)], [pair(1), pair(1)], [[storeOf(1), "x"]], null]) {
    assert.throws(() => decodeFounding([storeOf(9), founders], "test"), { code: "BAD_MESSAGE" });
  }
  fc.assert(
    fc.property(fc.anything(), (value) => {
      try {
        decodeAnswer(value as never);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "BAD_MESSAGE");
      }
    }),
  );
});

test("a peer named by another of its addresses, or by two, is one declared peer", async () => {
  const mesh = new SimMesh(4, 3);
  mesh.namedAs = (host) => ({ host: host.second, port: 6783 });
  await mesh.launch(0, [1, 2]);
  mesh.namedAs = (host) => host.advertise;
  await mesh.launch(1, [0, 2]);
  await mesh.run(10_000);
  const meshIds = () => mesh.hosts.map(({ disk }) => disk.durable?.founding?.meshId);
  assert.ok(meshIds()[0] !== undefined && meshIds()[0] === meshIds()[1], "two of three found");
  await mesh.launch(2, [0, 1]);
  await mesh.run(10_000);
  assert.equal(new Set(meshIds()).size, 1);

  const other = new SimMesh(5, 4);
  let turn = 0;
  other.namedAs = (host) => {
    turn += 1;
    return turn % 2 === 0 ? host.advertise : { host: host.second, port: 6783 };
  };
  // Both names of one host beside two hosts that never come: one of three others is no majority.
  await other.launch(0, [1, 1, 2, 3]);
  await other.launch(1, [0, 2, 3]);
  await other.run(20_000);
  assert.ok(other.hosts.every(({ disk }) => disk.durable?.founding === undefined));
});

/** Founds under crashes, loss and cuts; at each step all durable records must be one. */
async function foundUnderFire(seed: number): Promise<void> {
  const count = 3 + (seed % 3);
  const mesh = new SimMesh(seed, count, { loss: 0.3, delayMsMax: 300, slowDisk: 0.8 });
  const all = mesh.hosts.map(({ index }) => index);
  const declaredOf = (index: number) => all.filter((other) => other !== index);
  const meshIds = () =>
    new Set(mesh.hosts.flatMap(({ disk }) => disk.durable?.founding?.meshId ?? []));
  for (const index of all) await mesh.launch(index, declaredOf(index));
  for (let step = 0; step < 25; step++) {
    const index = mesh.random.below(count);
    const dice = mesh.random.below(10);
    if (dice < 3) mesh.crash(index);
    else if (dice < 6 && mesh.host(index).process === undefined) await mesh.launch(index);
    else if (dice < 8) mesh.partition([index, mesh.random.below(count)]);
    else mesh.heal();
    await mesh.run(mesh.random.below(1500));
    assert.ok(meshIds().size <= 1, `two foundings: ${[...meshIds()]}`);
  }
  mesh.heal();
  mesh.faults.loss = 0;
  for (const { index, process } of mesh.hosts) if (process === undefined) await mesh.launch(index);
  await mesh.run(20_000);
  assert.equal(meshIds().size, 1);
  for (const { disk, name } of mesh.hosts) assert.ok(disk.durable?.founding, `${name} not founded`);
}

test("no schedule founds two meshes, and after healing one is founded", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    try {
      await foundUnderFire(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
