/** Charters: the laws of their join, what a removal takes away, and their bytes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";
import {
  type Charter,
  dissolved,
  founded,
  joined,
  NO_CHARTER,
  newestStamp,
} from "../../../overlay/charter/charter.ts";
import { charterFromWire, charterToWire } from "../../../overlay/charter/charter-wire.ts";
import { freeSubnet } from "../../../overlay/charter/free-subnet.ts";
import { losersOf, wantedOf } from "../../../overlay/charter/spec.ts";
import { specWith } from "./charter-world.ts";

const PEERS = ["a", "b", "c"].map((letter) => letter.repeat(32));
const RED = "10.50.0.0/16";
const GREEN = "10.60.0.0/16";

/** A history of three replicas: what each does, and who hears of whom. */
const history = fc.array(
  fc.record({
    at: fc.nat(2),
    act: fc.constantFrom("found", "dissolve", "hear"),
    from: fc.nat(2),
    subnet: fc.constantFrom(RED, GREEN),
  }),
  { maxLength: 25 },
);

type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

function replay(steps: History): Charter[] {
  const replicas: Charter[] = PEERS.map(() => NO_CHARTER);
  for (const { at, act, from, subnet } of steps) {
    const here = replicas[at] ?? NO_CHARTER;
    if (act === "found") {
      replicas[at] = founded(here, PEERS[at] ?? "", newestStamp(here), specWith(subnet));
    } else if (act === "dissolve") replicas[at] = dissolved(here, subnet);
    else replicas[at] = joined(here, replicas[from] ?? NO_CHARTER);
  }
  return replicas;
}

const text = (charter: Charter) => JSON.stringify(charterToWire(charter));

describe("a charter", () => {
  it("is joined the same way in any order, and any number of times", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const [a = NO_CHARTER, b = NO_CHARTER, c = NO_CHARTER] = replay(steps);
        assert.equal(text(joined(a, b)), text(joined(b, a)));
        assert.equal(text(joined(joined(a, b), c)), text(joined(a, joined(b, c))));
        assert.equal(text(joined(a, a)), text(a));
        assert.equal(text(joined(joined(a, b), b)), text(joined(a, b)));
      }),
      { numRuns: 500 },
    );
  });

  it("loses what a removal had seen, and nothing else", () => {
    const [a = "", b = ""] = PEERS;
    const here = founded(NO_CHARTER, a, 0, specWith(RED));
    const there = founded(NO_CHARTER, b, 0, specWith(RED));
    const removed = dissolved(here, RED);
    assert.equal(
      wantedOf(joined(removed, here)),
      undefined,
      "a returning host brings nothing back",
    );
    assert.equal(wantedOf(joined(removed, there))?.subnet, RED, "made unseen, it stands");
    const both = dissolved(joined(here, there), RED);
    assert.equal(wantedOf(joined(both, there)), undefined);
    const again = founded(both, a, newestStamp(both), specWith(RED));
    assert.equal(wantedOf(joined(again, joined(here, both)))?.subnet, RED);
  });

  it("has one winner where subnets differ, the same for all", () => {
    const [a = "", b = ""] = PEERS;
    const one = founded(NO_CHARTER, b, 0, specWith(RED));
    const two = founded(NO_CHARTER, a, 7, specWith(GREEN));
    for (const both of [joined(one, two), joined(two, one)]) {
      assert.equal(wantedOf(both)?.subnet, GREEN);
      assert.deepEqual(losersOf(both), [RED]);
      const settled = dissolved(both, RED);
      assert.deepEqual([wantedOf(settled)?.subnet, losersOf(settled)], [GREEN, []]);
    }
  });

  it("survives the wire, and nothing malformed does", () => {
    fc.assert(
      fc.property(history, (steps) => {
        for (const charter of replay(steps)) {
          const wire = decodeWire(encodeWire(charterToWire(charter)));
          assert.deepEqual(charterFromWire(wire), charter);
        }
      }),
      { numRuns: 100 },
    );
    const spec = specWith(RED);
    const whole = charterToWire(founded(NO_CHARTER, PEERS[0] ?? "", 0, spec)) as unknown[];
    const broken = [null, [], [[], [], [7]], [[["x", 1]], [], []], [whole[0], [[1]], []]];
    for (const value of broken) {
      assert.throws(() => charterFromWire(value as never), { code: "BAD_MESSAGE" });
    }
  });
});

describe("a free subnet", () => {
  it("follows from the name, and avoids what is taken", () => {
    const first = freeSubnet("blue", []);
    assert.equal(freeSubnet("blue", ["10.32.0.0/12"]), first);
    assert.notEqual(freeSubnet("red", []), first);
    const second = freeSubnet("blue", [first]);
    assert.notEqual(second, first);
    assert.throws(() => freeSubnet("blue", ["10.0.0.0/8"]), { code: "NO_ADDRESS" });
  });
});
