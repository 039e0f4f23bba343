/**
 * The merge laws on random schedules: writers that change, remove and start anew, replicas that
 * hear of it late, twice, out of order or not at all, and then from one another.
 *
 * Law: merging is a join: commutative, associative and idempotent; and whatever was lost on the
 * way, replicas that were brought up to date are equal byte for byte.
 */
import assert from "node:assert/strict";
import { encodeWire, LIMITS, type WireValue } from "../../mesh/index.ts";
import { type Delta, deltaFromWire, deltaToWire } from "../../mesh/tables/messages.ts";
import { Replica } from "../../mesh/tables/replica.ts";
import { SeededRandom } from "../lib/seeded-random.ts";

/** Few, so that floors rise and whole logs travel. */
const TOMBSTONES_MAX = 3;
const STEPS_MAX = 60;
const READERS = ["d", "e", "f"].map((digit) => digit.repeat(32));
const WRITERS = ["a", "b", "c"].map((digit) => digit.repeat(32));

/** Runs the schedules of `count` seeds. @throws Error naming the seed and the law that broke. */
export function mergeSchedules(count: number, first = 1): void {
  const bounds = { ...LIMITS };
  Object.assign(LIMITS, { tombstonesMax: TOMBSTONES_MAX });
  try {
    for (let seed = first; seed < first + count; seed += 1) {
      try {
        new Schedule(seed).run();
      } catch (error) {
        throw new Error(`merge schedule of seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  } finally {
    Object.assign(LIMITS, bounds);
  }
}

class Schedule {
  readonly #random: SeededRandom;
  readonly #writers: Replica[];
  /** They hear datagrams as they come. */
  readonly #readers = READERS.map((id) => new Replica(id, 1));
  /** They ask writers now and then, so nothing is missing below what they hold. */
  readonly #askers = READERS.map((id) => new Replica(id, 1));
  readonly #said: Delta[] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const count = 1 + this.#random.below(WRITERS.length);
    this.#writers = WRITERS.slice(0, count).map((id) => new Replica(id, 1));
  }

  run(): void {
    const steps = 10 + this.#random.below(STEPS_MAX);
    for (let step = 0; step < steps; step += 1) this.#step(step);
    this.#join();
    this.#settle();
  }

  #step(step: number): void {
    const at = this.#random.below(this.#writers.length);
    const dice = this.#random.below(100);
    if (dice < 40) this.#write(at, step);
    else if (dice < 44) this.#restart(at);
    else if (dice < 80) this.#hear();
    else if (dice < 90) this.#ask(this.#pick(this.#readers), this.#pick(this.#all()));
    else this.#ask(this.#pick(this.#askers), this.#pick(this.#writers));
  }

  #write(at: number, step: number): void {
    const writer = this.#writers[at];
    if (writer === undefined) return;
    const before = writer.ownSeq;
    const key = `k${this.#random.below(5)}`;
    if (this.#random.chance(0.6)) writer.put("endpoints", key, [step]);
    else writer.remove("endpoints", key);
    this.#said.push(writer.ownDelta(this.#random.chance(0.8) ? before : 0));
  }

  /** A new life, in which some of the rows are written anew. */
  #restart(at: number): void {
    const old = this.#writers[at];
    if (old === undefined) return;
    const next = new Replica(old.self, old.ownIncarnation + 1);
    for (const { origin, table, key, value } of old.rows("endpoints")) {
      if (origin === old.self && this.#random.chance(0.7)) next.put(table, key, value);
    }
    this.#writers[at] = next;
    this.#said.push(next.ownDelta(0));
  }

  /** Some datagram arrives at some reader, at times twice. */
  #hear(): void {
    const delta = this.#said[this.#random.below(this.#said.length)];
    if (delta === undefined) return;
    const reader = this.#pick(this.#readers);
    take(reader, delta);
    const once = image(reader);
    assert.deepEqual(take(reader, delta), [], "idempotent: a delta heard again was news");
    assertEqual(image(reader), once, "idempotent: a delta heard again changed a replica");
  }

  #ask(asker: Replica, asked: Replica): void {
    if (asker !== asked) bring(asker, asked);
  }

  #join(): void {
    const [x, y, z] = this.#askers;
    if (x === undefined || y === undefined || z === undefined) return;
    assertEqual(image(join(x, y)), image(join(y, x)), "commutative");
    assertEqual(image(join(join(x, y), z)), image(join(x, join(y, z))), "associative");
    assertEqual(image(join(x, x)), image(x), "idempotent");
  }

  /** Everyone asks everyone, in some order: afterwards all are equal. */
  #settle(): void {
    const all = this.#all().sort(() => this.#random.u32() - 2 ** 31);
    for (let round = 0; round < 3; round += 1) {
      for (const one of all) for (const other of all) this.#ask(one, other);
    }
    const [first] = this.#writers;
    if (first === undefined) return;
    for (const one of all) {
      assertEqual(image(one), image(first), "byte-equal: replicas differ when all was repaired");
      assertEqual(one.digest(), first.digest(), "byte-equal: digests differ");
    }
  }

  #all(): Replica[] {
    return [...this.#writers, ...this.#readers];
  }

  #pick(replicas: readonly Replica[]): Replica {
    const replica = replicas[this.#random.below(replicas.length)];
    if (replica === undefined) throw new Error("nobody to pick from");
    return replica;
  }
}

/** By way of the wire, as a peer does. */
function take(to: Replica, delta: Delta): readonly unknown[] {
  return to.merge(deltaFromWire(deltaToWire(delta))).changes;
}

function bring(to: Replica, from: Replica): void {
  for (const delta of from.deltasFor(to.vector(), LIMITS.syncBytesMax).deltas) take(to, delta);
}

/** A third replica: what `x` holds with what `y` has besides. */
function join(x: Replica, y: Replica): Replica {
  const joined = new Replica("0".repeat(32), 1);
  bring(joined, x);
  bring(joined, y);
  return joined;
}

/** Every log with rows in it: how far it goes and its live rows, in one order. */
function image(replica: Replica): Uint8Array {
  const { deltas } = replica.deltasFor([], Number.POSITIVE_INFINITY);
  const logs = deltas
    .filter(({ origin, to }) => WRITERS.includes(origin) && to > 0)
    .sort((a, b) => (a.origin < b.origin ? -1 : 1));
  const items = logs.map(({ origin, incarnation, to, rows }): WireValue => {
    const live = rows.filter(({ bytes }) => bytes !== null).sort((a, b) => a.seq - b.seq);
    return [origin, incarnation, to, live.map(({ key, seq, bytes }) => [key, seq, bytes])];
  });
  return encodeWire(items);
}

function assertEqual(one: Uint8Array, other: Uint8Array, law: string): void {
  assert.ok(Buffer.compare(one, other) === 0, law);
}
