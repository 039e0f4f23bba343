/** Rows found by address decide what all rows would, in the kernel and in `status`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointRows, suspectRows } from "../../../cli/wiring/endpoint-rows.ts";
import { problemsOf } from "../../../cli/wiring/problems.ts";
import { SharedRows } from "../../../cli/wiring/shared-rows.ts";
import type { Member } from "../../../mesh/index.ts";
import { desiredNetwork } from "../../../overlay/desired.ts";
import { diffRemote } from "../../../overlay/diff-remote.ts";
import { endpointToWire } from "../../../overlay/index.ts";
import { Mirror } from "../../../overlay/mirror.ts";
import type { RemoteChange } from "../../../overlay/touched.ts";
import { touchedSteps } from "../../../overlay/touched.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { input, local, NET, NETNS, OPTIONS, PROOF } from "../overlay/samples.ts";
import { WELL } from "./fixture-problems.ts";
import { TablesInHand, type Written } from "./fixture-tables.ts";

const PEERS = ["a", "b", "c", "d"].map((digit) => digit.repeat(32));
const SELF = OPTIONS.self.peer;
const IPS = Array.from({ length: 8 }, (_, at) => `10.32.0.${at + 2}`);
const MACS = Array.from({ length: 8 }, (_, at) => `02:42:0a:20:00:0${at + 2}`);
const LOCALS = [local("1", "10.32.0.2"), local("2", "10.32.0.200", "02:42:0a:20:00:03")];

/** Few addresses for many rows: nearly every change is a conflict. */
class World {
  readonly tables = new TablesInHand();
  readonly rows: SharedRows;
  readonly random: SeededRandom;
  /** Of the last write, as follow.ts hands them on. */
  changes: readonly RemoteChange[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const members = () => PEERS.map((id) => memberOf(id));
    const presence = { entriesCount: () => true };
    const ports = { tables: this.tables.port, presence, members };
    this.rows = new SharedRows({ ...ports, log: new QuietLog() }, SELF);
    this.rows.endpoints.onChange((changes) => {
      const touched = changes.flatMap(({ before, after }) => [before, after]);
      this.changes = touched.flatMap((typed) => (typed ? [typed.row] : []));
    });
  }

  one<T>(of: readonly T[]): T {
    return of[this.random.below(of.length)] as T;
  }

  change(): void {
    const written = (): Written => {
      const origin = this.one(PEERS);
      const network = this.random.chance(0.8) ? NET.name : "other";
      const [ip, mac] = [this.one(IPS), this.one(MACS)];
      const row = endpointToWire({ network, ip, mac, vtep: vtepOf(origin) });
      const value = this.random.chance(0.7) ? row : undefined;
      return ["endpoints", origin, `e${this.random.below(3)}`, value];
    };
    this.tables.write(Array.from({ length: 1 + this.random.below(3) }, written));
  }
}

function vtepOf(peer: string): string {
  return peer === SELF ? OPTIONS.self.vtep : `192.0.2.${peer.charCodeAt(0)}`;
}

function memberOf(id: string): Member {
  const advertise = { host: vtepOf(id), port: 6783 };
  const fixed = { incarnation: 1, sinceMs: 0, rttMs: null, self: id === SELF };
  return { ...fixed, id, name: id.slice(0, 2), advertise, state: "alive" };
}

for (let seed = 1; seed <= 20; seed += 1) {
  test(`the fast path by index decides as by all rows and as a full pass, seed ${seed}`, () => {
    const world = new World(seed);
    const mirror = new Mirror();
    mirror.note([{ kind: "vxlan-add", netns: NETNS } as never]);
    const tables = mirror.tables(NETNS);
    assert.ok(tables !== undefined);
    for (let step = 0; step < 100; step += 1) {
      world.change();
      const remotes = world.rows.remotes();
      const all = input({ locals: LOCALS, remotes, keep: PROOF });
      const near = (addresses: Iterable<string>) =>
        world.rows.remotes(world.rows.index.near(addresses));
      const steps = touchedSteps(NET, world.changes, { ...all, remotes: [], near }, tables);
      const order = (list: readonly object[]) => list.map((each) => JSON.stringify(each)).sort();
      assert.deepEqual(order(steps), order(touchedSteps(NET, world.changes, all, tables)));
      mirror.note(steps);
      const desired = desiredNetwork(NET, LOCALS, remotes, OPTIONS);
      assert.deepEqual(diffRemote(desired, tables, PROOF), [], `step ${step}`);
    }
  });

  test(`problems of the rows that share an address are those of all rows, seed ${seed}`, () => {
    const world = new World(seed);
    const { rows } = world;
    let unplugged: string[] = [];
    const membership = { members: () => PEERS.map((id) => memberOf(id)) };
    const mesh = { node: { membership } as never, self: SELF };
    const reconciler = { status: () => ({ ...WELL.kernel, unplugged }) };
    const ports = { rows, mesh, reconciler, attach: { list: () => [] } };
    for (let step = 0; step < 100; step += 1) {
      world.change();
      unplugged = world.random.chance(0.3) ? ["e0", "e9"] : [];
      const ip = world.one(IPS);
      const addresses = [{ code: "ADDRESS_CONFLICT", text: `${ip} is another's`, next: null, ip }];
      const all = problemsOf({ ...WELL, addresses, endpoints: endpointRows(ports) });
      const few = problemsOf({ ...WELL, addresses, endpoints: suspectRows(ports, [ip]) });
      assert.deepEqual(few, all, `step ${step}`);
      for (const name of [NET.name, "other"]) {
        const listed = rows.endpointsOn(name, NET.subnet);
        assert.equal(rows.countOn(name, NET.subnet), listed.length);
        const own = listed.filter(({ origin }) => origin === SELF);
        assert.equal(rows.countOn(name, NET.subnet, SELF), own.length);
      }
      const held = [...rows.endpoints.rows()].map(({ origin, row }) => [origin, row.vtep] as const);
      assert.deepEqual(rows.vteps(), new Map(held));
    }
  });
}
