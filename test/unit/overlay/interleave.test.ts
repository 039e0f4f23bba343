/** Joins, Leaves and changed rows between the batches of a running pass: soon, and none is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macOf } from "../../../overlay/address.ts";
import { desiredNetwork } from "../../../overlay/desired.ts";
import { KEEP_ALL } from "../../../overlay/diff-remote.ts";
import { type LocalEndpoint, overlayEnd, type RemoteEndpoint } from "../../../overlay/model.ts";
import type { ReconcileInput } from "../../../overlay/pass.ts";
import { Reconciler } from "../../../overlay/reconcile.ts";
import { BusyClock } from "../../lib/busy-clock.ts";
import { FakeKernel, type FakeNetns } from "../../lib/fake-kernel.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle } from "../../lib/virtual-clock.ts";
import { input, local, NET, NETNS, OPTIONS, PROOF, remote } from "./samples.ts";

const MANY = Array.from({ length: 10_000 }, (_, at) => remote(`10.33.${at >> 8}.${at & 255}`));

function setup(first: Partial<ReconcileInput>, batchSteps?: number) {
  const kernel = new FakeKernel();
  const clock = new BusyClock();
  const box = { input: input(first) };
  const ports = { kernel, clock, log: new QuietLog(), ...(batchSteps && { batchSteps }) };
  const reconciler = new Reconciler(ports, () => box.input);
  return { kernel, clock, box, reconciler };
}

/** Resolves once so many batches were handed to the kernel. */
async function batches(kernel: FakeKernel, count: number): Promise<void> {
  while (kernel.applied.length < count) await settle();
}

for (const way of ["a pass", "rows that come at once"]) {
  test(`a Join, a row and a Leave wait for one batch of ${way}`, async () => {
    const { kernel, box, reconciler } = setup({});
    await reconciler.flush();
    box.input = { ...box.input, remotes: MANY, keep: PROOF };
    const before = kernel.applied.length;
    const all = way === "a pass" ? reconciler.flush() : reconciler.applyRemote(MANY);
    await batches(kernel, before + 3);
    const waited = async (work: () => Promise<void>): Promise<number> => {
      const start = kernel.applied.length;
      await work();
      return kernel.applied.length - start;
    };
    const mine = local("1", "10.33.30.7");
    box.input = { ...box.input, locals: [mine] };
    assert.ok((await waited(() => reconciler.plug(mine, NET))) <= 2, "the Join");
    const last = { ...MANY[9_999], vtep: "192.0.2.99" } as RemoteEndpoint;
    box.input = { ...box.input, remotes: [...MANY.slice(0, -1), last] };
    assert.ok((await waited(() => reconciler.applyRemote([last]))) <= 2, "the row");
    const other = local("2", "10.34.0.2");
    box.input = { ...box.input, locals: [mine, other] };
    await reconciler.plug(other, NET);
    box.input = { ...box.input, locals: [mine] };
    assert.ok((await waited(() => reconciler.unplug(other.id, NET))) <= 2, "the Leave");
    assert.ok(kernel.get(NETNS).neighbours.size < 9000, "long before all are there");
    await all;
    const { neighbours, forwards, links } = kernel.get(NETNS);
    assert.equal(neighbours.size, 9999);
    assert.equal(neighbours.has(mine.ip), false, "local wins");
    assert.equal(forwards.get(last.mac)?.vtep, "192.0.2.99", "the later row stands");
    assert.ok(links.has(overlayEnd(mine.id)) && !links.has(overlayEnd(other.id)));
    await reconciler.flush();
    assert.equal(reconciler.status().inSync, true);
    await reconciler.stop();
  });
}

test("a namespace that a Join makes anew is looked at again by the pass at work", async () => {
  const { kernel, box, reconciler } = setup({});
  await reconciler.flush();
  box.input = { ...box.input, remotes: MANY };
  const before = kernel.applied.length;
  const all = reconciler.flush();
  await batches(kernel, before + 3);
  kernel.namespaces.delete(NETNS);
  const mine = local("1", "10.34.0.2");
  box.input = { ...box.input, locals: [mine] };
  await reconciler.plug(mine, NET);
  await all;
  assert.equal(kernel.get(NETNS).forwards.size, 10_000);
  assert.ok(kernel.get(NETNS).links.has(overlayEnd(mine.id)));
  await reconciler.stop();
});

test("a network that goes meanwhile stays away", async () => {
  const { kernel, box, reconciler } = setup({ remotes: MANY });
  const all = reconciler.flush();
  await batches(kernel, 3);
  box.input = { ...box.input, networks: [] };
  await reconciler.removeNetwork(NET);
  await all;
  assert.equal(kernel.namespaces.size, 0);
  assert.equal(reconciler.status().inSync, true);
  await reconciler.stop();
});

/** What comes in between, at its moment: a turn of the event loop or a step of a batch. */
type Event =
  | { readonly kind: "row"; readonly id: number; readonly ip: number; readonly host: number }
  | { readonly kind: "row-gone"; readonly id: number }
  | { readonly kind: "join"; readonly id: number; readonly ip: number }
  | { readonly kind: "leave"; readonly id: number; readonly ip: number }
  | { readonly kind: "groups"; readonly host: number }
  | { readonly kind: "namespace-lost" };

const NUMBER = fc.integer({ min: 2, max: 12 });
const ID = fc.integer({ min: 0, max: 5 });
const ROW = fc.record({ kind: fc.constant("row" as const), id: NUMBER, ip: NUMBER, host: NUMBER });
const ROW_EVENT: fc.Arbitrary<Event> = fc.oneof(
  ROW,
  fc.record({ kind: fc.constant("row-gone" as const), id: NUMBER }),
);
const JOINED = fc.constantFrom("join" as const, "leave" as const);
const LOCAL_EVENT: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: JOINED, id: ID, ip: NUMBER }),
  fc.record({ kind: fc.constant("groups" as const), host: NUMBER }),
);
const EVENT = fc.oneof({ weight: 6, arbitrary: ROW_EVENT }, { weight: 5, arbitrary: LOCAL_EVENT });
const LOST = fc.record({ kind: fc.constant("namespace-lost" as const) });
const ANY_EVENT = fc.oneof({ weight: 9, arbitrary: EVENT }, { weight: 1, arbitrary: LOST });
const FIRST = fc.array(ROW, { maxLength: 12 });

function timed(event: fc.Arbitrary<Event>) {
  const when = fc.integer({ min: 0, max: 60 });
  return fc.array(fc.tuple(when, event), { maxLength: 15 });
}

/** One host with rows, and a mesh whose events come in wherever the pass lets anybody in. */
class World {
  readonly kernel = new FakeKernel();
  readonly clock = new BusyClock();
  readonly reconciler: Reconciler;
  readonly plugged = new Set<LocalEndpoint>();
  #input: ReconcileInput;
  #due: (readonly [when: number, event: Event])[] = [];
  #moment = 0;
  readonly #work: Promise<void>[] = [];

  constructor(rows: readonly Extract<Event, { kind: "row" }>[], keep: ReconcileInput["keep"]) {
    this.#input = input({ remotes: rows.map(rowOf), keep });
    const ports = { kernel: this.kernel, clock: this.clock, log: new QuietLog(), batchSteps: 3 };
    this.reconciler = new Reconciler(ports, () => this.#input);
    this.clock.meanwhile = () => this.#tick();
    this.kernel.fault = () => {
      this.#tick();
      return undefined;
    };
    this.kernel.pause = async () => {
      this.#tick();
      await settle();
    };
  }

  get input(): ReconcileInput {
    return this.#input;
  }

  /** Other rows, which nobody is told of. */
  reset(rows: readonly Extract<Event, { kind: "row" }>[]): void {
    this.#input = { ...this.#input, remotes: rows.map(rowOf) };
  }

  /** A pass, and the events at their moments of it; those of later moments at its end. */
  async pass(events: readonly (readonly [number, Event])[]): Promise<void> {
    this.#moment = 0;
    this.#due = events.toSorted(([a], [b]) => a - b);
    await this.reconciler.flush();
    for (const [, event] of this.#due.splice(0)) this.#happen(event);
    while (this.#work.length > 0) await Promise.all(this.#work.splice(0));
  }

  #tick(): void {
    this.#moment += 1;
    while (this.#due[0] !== undefined && this.#due[0][0] < this.#moment) {
      const [, event] = this.#due.shift() ?? [0, undefined];
      if (event !== undefined) this.#happen(event);
    }
  }

  #happen(event: Event): void {
    const { reconciler } = this;
    if (event.kind === "namespace-lost") {
      this.kernel.namespaces.delete(NETNS);
      this.kernel.hostLinks.clear();
      this.plugged.clear();
    } else if (event.kind === "groups") {
      const peer = "b".repeat(32);
      const groups = [{ network: NET.name, vtep: vtepOf(event.host), peer, groups: ["239.1.2.3"] }];
      this.#input = { ...this.#input, groups };
      this.#work.push(reconciler.applyGroups());
    } else if (event.kind === "join") this.#join(local(`${event.id}`, `10.32.0.${event.ip}`));
    else if (event.kind === "leave") this.#leave(`${event.id}`.repeat(64));
    else this.#change(event);
  }

  #change(event: Extract<Event, { kind: "row" | "row-gone" }>): void {
    const { remotes } = this.#input;
    const before = remotes.find(({ id }) => id === `${event.id}`);
    const after = event.kind === "row" ? rowOf(event) : undefined;
    const others = remotes.filter((row) => row !== before);
    this.#input = { ...this.#input, remotes: after === undefined ? others : [...others, after] };
    const changed = [before, after].flatMap((row) => (row === undefined ? [] : [row]));
    this.#work.push(this.reconciler.applyRemote(changed));
  }

  #join(mine: LocalEndpoint): void {
    const { locals } = this.#input;
    if (locals.some(({ id, ip }) => id === mine.id || ip === mine.ip)) return;
    this.#input = { ...this.#input, locals: [...locals, mine] };
    const plugged = this.reconciler.plug(mine, NET).then(() => {
      if (this.#input.locals.includes(mine)) this.plugged.add(mine);
    });
    // A namespace that was lost in the middle of it.
    this.#work.push(plugged.catch(() => undefined));
  }

  #leave(id: string): void {
    const { locals } = this.#input;
    this.#input = { ...this.#input, locals: locals.filter((one) => one.id !== id) };
    for (const mine of this.plugged) if (mine.id === id) this.plugged.delete(mine);
    this.#work.push(this.reconciler.unplug(id, NET).catch(() => undefined));
  }
}

function vtepOf(host: number): string {
  return `192.0.2.${host}`;
}

function rowOf({ id, ip, host }: Extract<Event, { kind: "row" }>): RemoteEndpoint {
  const mac = macOf(`10.32.0.${ip % 7 === 0 ? 2 : ip}`);
  return remote(`10.32.0.${ip}`, vtepOf(host), { id: `${id}`, mac });
}

function lines(list: Iterable<readonly string[]>): string[] {
  return [...list].map((one) => one.join(" ")).sort();
}

function entriesOf({ neighbours, forwards, steers }: FakeNetns): readonly string[][] {
  const vteps = [...forwards].map(([mac, { vtep }]) => [mac, vtep]);
  return [lines(neighbours), lines(vteps), [...steers.keys()].sort()];
}

function wantedOf({ locals, remotes }: ReconcileInput): readonly string[][] {
  const { remote: wanted } = desiredNetwork(NET, locals, remotes, OPTIONS);
  return [lines(wanted.neighbours), lines(wanted.forwards), [...wanted.forwards.keys()].sort()];
}

function copiesOf({ locals, remotes, groups }: ReconcileInput): string[] {
  const { copies } = desiredNetwork(NET, locals, remotes, OPTIONS, groups);
  return lines([...copies].flatMap(([mac, vteps]) => [...vteps].map((vtep) => [mac, vtep])));
}

test("rows that change at any moments of a pass end as a fresh look would have them", async () => {
  const property = fc.asyncProperty(FIRST, FIRST, timed(ROW_EVENT), async (old, first, events) => {
    const world = new World(old, PROOF);
    await world.pass([]);
    // New rows of which nobody told: all of it is this pass's work.
    world.reset(first);
    await world.pass(events);
    assert.deepEqual(entriesOf(world.kernel.get(NETNS)), wantedOf(world.input));
    await world.pass([]);
    assert.equal(world.reconciler.status().inSync, true);
    await world.reconciler.stop();
  });
  await fc.assert(property, { numRuns: 300 });
});

test("Joins, Leaves, groups at any moments: local wins at once, all is right after", async () => {
  const property = fc.asyncProperty(FIRST, timed(ANY_EVENT), async (first, events) => {
    const world = new World(first, PROOF);
    await world.pass(events);
    const isLost = events.some(([, { kind }]) => kind === "namespace-lost");
    if (!isLost) {
      const { neighbours, forwards, steers, links } = world.kernel.get(NETNS);
      for (const mine of world.plugged) {
        assert.ok(links.has(overlayEnd(mine.id)), mine.ip);
        assert.ok(!neighbours.has(mine.ip), mine.ip);
        assert.ok(!forwards.has(mine.mac) && !steers.has(mine.mac), mine.mac);
      }
    }
    for (let again = 0; again < 2; again++) await world.pass([]);
    const space = world.kernel.get(NETNS);
    assert.deepEqual(entriesOf(space), wantedOf(world.input));
    assert.deepEqual([...space.floods.keys()].sort(), copiesOf(world.input));
    const ends = world.input.locals.map(({ id }) => overlayEnd(id));
    const ports = [...space.links.keys()].filter((name) => name.startsWith("veth"));
    assert.ok(ports.every((name) => ends.includes(name)));
    assert.ok([...world.plugged].every(({ id }) => isLost || ports.includes(overlayEnd(id))));
    const { inSync, lastError } = world.reconciler.status();
    assert.deepEqual([inSync, lastError], [true, null]);
    await world.reconciler.stop();
  });
  await fc.assert(property, { numRuns: 300 });
});

test("without proof nothing goes but what is local, whatever comes in between", async () => {
  const property = fc.asyncProperty(FIRST, timed(EVENT), async (first, events) => {
    const world = new World(first, KEEP_ALL);
    await world.pass([]);
    const before = [...world.kernel.get(NETNS).neighbours.keys()];
    await world.pass(events);
    const local = new Set(events.flatMap(([, event]) => (event.kind === "join" ? [event.ip] : [])));
    const after = world.kernel.get(NETNS).neighbours;
    for (const ip of before) {
      assert.ok(after.has(ip) || local.has(Number(ip.split(".")[3])), ip);
    }
    await world.reconciler.stop();
  });
  await fc.assert(property, { numRuns: 300 });
});
