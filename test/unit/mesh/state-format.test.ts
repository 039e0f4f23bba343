/** A state directory meets another version of tsweave, or damage: what is said and what is kept. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeWire, encodeWire, nextIdentity, settleStateFormat } from "../../../mesh/index.ts";
import type { FormatStep } from "../../../mesh/state-format.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const THREE = 3;

/** A store with a marker, and one with what was there before there were markers. */
function stored(format: number, version: string): MemoryStore {
  const store = new MemoryStore();
  store.snapshots.set("format", encodeWire([format, version]));
  return store;
}

function formatIn(store: MemoryStore): unknown {
  return decodeWire(store.snapshots.get("format") ?? new Uint8Array());
}

/** Steps that note in the store that they ran; the one of `failsOnce` fails at first. */
function steps(ran: number[], failsOnce?: number): FormatStep[] {
  let isToFail = failsOnce !== undefined;
  return [1, 2].map((from) => ({
    from,
    run: async (store) => {
      ran.push(from);
      await store.save("some-part", encodeWire(from + 1));
      if (from !== failsOnce || !isToFail) return;
      isToFail = false;
      throw new Error("power failure");
    },
  }));
}

describe("the format of the state directory", () => {
  it("is written at the first start, and follows the program's version", async () => {
    const store = new MemoryStore();
    await settleStateFormat(store, "0.1.0");
    assert.deepEqual(formatIn(store), [1, "0.1.0"]);
    await settleStateFormat(store, "0.1.1");
    assert.deepEqual(formatIn(store), [1, "0.1.1"]);
  });

  it("costs no write where nothing changed", async () => {
    const store = stored(1, "0.1.0");
    store.failure = new Error("read only");
    await settleStateFormat(store, "0.1.0");
  });

  it("of a newer version is refused with both formats, the version and the cure", async () => {
    const store = stored(7, "2.3.0");
    await assert.rejects(settleStateFormat(store, "0.1.0"), {
      code: "STATE_VERSION",
      message:
        "the state directory has format 7, written by tsweave 2.3.0; this version reads format 1",
      hint: "install tsweave 2.3.0 or later; or begin as a new peer: tsweave reset",
    });
    assert.deepEqual(formatIn(store), [7, "2.3.0"]);
  });

  it("of an older version is raised step by step, each from where a crash left it", async () => {
    const store = new MemoryStore();
    const ran: number[] = [];
    const supported = { format: THREE, steps: steps(ran, 2) };
    await assert.rejects(settleStateFormat(store, "0.3.0", supported), /power failure/);
    assert.deepEqual(formatIn(store), [2, "0.3.0"]);
    await settleStateFormat(store, "0.3.0", supported);
    assert.deepEqual(ran, [1, 2, 2]);
    assert.deepEqual(formatIn(store), [THREE, "0.3.0"]);
    await settleStateFormat(store, "0.3.0", supported);
    assert.deepEqual(ran, [1, 2, 2]);
  });

  it("of a version too old to be raised is refused, and left", async () => {
    const store = stored(1, "0.1.0");
    const [, second] = steps([]);
    assert.ok(second);
    await assert.rejects(settleStateFormat(store, "0.9.0", { format: THREE, steps: [second] }), {
      code: "STATE_VERSION",
      hint: /launch a version once that reads format 1 and a later one/,
    });
    assert.equal(store.snapshots.has("some-part"), false);
  });

  it("that does not read says which file", async () => {
    const store = new MemoryStore();
    store.snapshots.set("format", encodeWire(["one", 1]));
    await assert.rejects(settleStateFormat(store, "0.1.0"), {
      code: "STATE_CORRUPT",
      message: /^format\.snapshot does not read/,
    });
  });
});

describe("a damaged identity", () => {
  for (const [what, value] of [
    ["an id of another length", [Buffer.alloc(15), 1]],
    ["a negative number of starts", [Buffer.alloc(16), -1]],
    ["another shape", "identity"],
  ] as const) {
    it(`(${what}) stops the start and says what to do`, async () => {
      const store = new MemoryStore();
      const before = encodeWire(value);
      store.snapshots.set("identity", before);
      const clock = new VirtualClock();
      await assert.rejects(nextIdentity({ store, clock, random: new SeededRandom(1) }), {
        code: "STATE_CORRUPT",
        message: /^identity\.snapshot does not read: /,
        hint: /restore it from a backup; or move it away/,
      });
      assert.deepEqual(store.snapshots.get("identity"), before);
    });
  }
});
