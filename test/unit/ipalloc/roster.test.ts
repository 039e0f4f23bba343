/** The rules of rosters: whose consent is enough, which one stands, what survives the wire. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareRosters,
  consentOf,
  descends,
  electorsOf,
  firstRoster,
  nextRoster,
  type Roster,
  type RosterChange,
} from "../../../ipalloc/roster.ts";
import { decodeRoster, encodeRoster } from "../../../ipalloc/roster-codec.ts";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";

const entry = (n: number) => ({
  store: n.toString(16).padStart(16, "0"),
  peer: n.toString(16).padStart(32, "0"),
});
const store = (n: number) => entry(n).store;

function rosterOf(count: number): Roster {
  const founders = Array.from({ length: count }, (_, n) => entry(n + 1));
  return firstRoster({ meshId: "0".repeat(16), founders });
}

function change(parts: Partial<RosterChange>): RosterChange {
  return { admit: [], forget: new Set(), leave: new Set(), ...parts };
}

const subset = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 7 });

test("two decisions meet, unless each side called the other gone", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), subset, subset, (count, first, second) => {
      const roster = rosterOf(count);
      const [a, b] = [first, second].map((numbers) =>
        consentOf(roster, new Set(numbers.map(store)), false),
      );
      if (a === undefined || b === undefined) return;
      const voters = (consent: typeof a) => consent.asked.map((one) => one.store);
      // The worst choice of voters among those asked.
      const shared = voters(a).filter((one) => voters(b).includes(one)).length;
      const all = new Set([...voters(a), ...voters(b)]).size;
      const meet = a.needed + b.needed > all && shared > 0;
      const eachLostTheOther = all === a.needed + b.needed && shared === 0;
      assert.ok(meet || eachLostTheOther);
      if (first.length === 0 || second.length === 0) assert.ok(meet);
    }),
  );
});

test("a survivors' decision meets every majority of the electors", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), subset, (count, numbers) => {
      const roster = rosterOf(count);
      const consent = consentOf(roster, new Set(numbers.map(store)), false);
      const electors = electorsOf(roster);
      if (consent === undefined) return;
      const agreeing = electors.filter(({ store: one }) =>
        consent.asked.some((asked) => asked.store === one),
      ).length;
      const least = consent.by === "survivors" ? agreeing : consent.needed;
      assert.ok(least + Math.floor(electors.length / 2) + 1 > electors.length);
    }),
  );
});

test("a majority that is gone needs the stronger word", () => {
  const gone = new Set([store(1), store(2)]);
  assert.equal(consentOf(rosterOf(3), gone, false), undefined);
  const consent = consentOf(rosterOf(3), gone, true);
  assert.deepEqual([consent?.by, consent?.needed], ["survivors", 1]);
  assert.equal(consentOf(rosterOf(2), new Set([store(2)]), false)?.by, "survivors");
});

test("a new store replaces its host's old one, a removed one does not come back", () => {
  const reborn = { ...entry(9), peer: entry(2).peer };
  const next = nextRoster(rosterOf(3), change({ admit: [reborn] }), new Set()) as Roster;
  assert.deepEqual(
    next.members.map((one) => one.store),
    [store(1), store(3), store(9)],
  );
  assert.equal(next.former[0]?.how, "replaced");
  assert.equal(nextRoster(next, change({ admit: [entry(2)] }), new Set()), undefined);
  assert.equal(nextRoster(next, change({ admit: [reborn] }), new Set()), undefined);
});

test("nobody removes everybody; a removal names an heir that remains", () => {
  const all = new Set([store(1), store(2)]);
  assert.equal(nextRoster(rosterOf(2), change({ forget: all }), new Set()), undefined);
  const next = nextRoster(rosterOf(3), change({ forget: all }), new Set()) as Roster;
  assert.equal(next.heir, store(3));
  assert.equal(next.removedAt, 1);
});

test("every roster stands above those it descends from, whatever branches there are", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 3 })), { maxLength: 6 });
  fc.assert(
    fc.property(steps, (taken) => {
      const chain = [rosterOf(3)];
      for (const [branch, id] of taken) {
        const last = chain.at(-1) as Roster;
        const number = last.number + 1;
        const mark = { number, id: store(id) };
        chain.push({ ...last, number, branches: [...last.branches, ...(branch ? [mark] : [])] });
      }
      for (let newer = 1; newer < chain.length; newer++) {
        for (let older = 0; older < newer; older++) {
          const [a, b] = [chain[newer] as Roster, chain[older] as Roster];
          assert.ok(compareRosters(a, b) > 0 && descends(a, b) && !descends(b, a));
        }
      }
    }),
  );
  const base = rosterOf(2);
  const left = { ...base, number: 1, branches: [{ number: 1, id: store(5) }] };
  const right = { ...base, number: 1, branches: [{ number: 1, id: store(6) }] };
  assert.ok(!descends(left, right) && !descends(right, left));
  assert.ok(!descends({ ...left, number: 2 }, { ...base, number: 1 }), "decided unseen by it");
});

test("a roster survives the wire; disorder is refused", () => {
  const next = nextRoster(
    rosterOf(4),
    change({ forget: new Set([store(2)]) }),
    new Set(),
  ) as Roster;
  const branched = { ...next, branches: [{ number: 1, id: store(7) }] };
  assert.deepEqual(decodeRoster(decodeWire(encodeWire(encodeRoster(branched))), "r"), branched);
  const twice = { ...next, members: [entry(1), entry(1)], heir: store(1) };
  assert.throws(() => decodeRoster(encodeRoster(twice), "r"), /member twice/);
  const orphan = { ...next, heir: store(2) };
  assert.throws(() => decodeRoster(encodeRoster(orphan), "r"), /heir that is none/);
});
