/** Whose names are answered, and whose only for want of better ones, whatever changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AnsweredNames } from "../../../cli/wiring/answered-names.ts";
import { SharedRows } from "../../../cli/wiring/shared-rows.ts";
import type { NameRecord } from "../../../dns/index.ts";
import type { RecordId } from "../../../dns/record.ts";
import { type Evidence, type Member, type MemberState, TIMES } from "../../../mesh/index.ts";
import { namesToWire, networkToWire } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { TablesInHand } from "./fixture-tables.ts";

const PEERS = ["a", "b", "c", "d"].map((digit) => digit.repeat(32));
const [SELF = "", OTHER = "", THIRD = ""] = PEERS;
const SUBNETS = ["10.50.0.0/16", "10.60.0.0/16"];

type Seen = Pick<Member, "id" | "state" | "sinceMs" | "evidence">;

/** Rows, verdicts, and what dns was told of them. */
class World {
  readonly tables = new TablesInHand();
  readonly clock = new VirtualClock();
  readonly states = new Map<string, Seen>();
  readonly told = new Map<string, NameRecord>();
  readonly rows: SharedRows;
  readonly names: AnsweredNames;
  calls = 0;

  constructor() {
    const presence = { entriesCount: () => true };
    const members = () => [...this.states.values()] as Member[];
    const ports = { tables: this.tables.port, presence, members };
    this.rows = new SharedRows({ ...ports, log: new QuietLog() }, SELF);
    const { rows, clock } = this;
    this.names = new AnsweredNames({ rows, dns: this, members, clock }, SELF);
  }

  changeRecords(gone: readonly RecordId[], come: readonly NameRecord[]): void {
    this.calls += 1;
    for (const { peer, endpointId } of gone) this.told.delete(`${peer}/${endpointId}`);
    for (const record of come) this.told.set(`${record.peer}/${record.endpointId}`, record);
  }

  become(peer: string, state: MemberState, evidence: Evidence = "silent"): void {
    const seen = { id: peer, state, sinceMs: this.clock.nowMs(), evidence };
    this.states.set(peer, seen);
    this.names.peerChanged(seen);
  }

  put(origin: string, key: string, network = "n", isUnhealthy = false): void {
    const row = { network, ip: "10.0.0.2", names: [key], ports: [], isUnhealthy };
    this.tables.write([["names", origin, key, namesToWire(row)]]);
  }

  seen(): string[] {
    const shown = [...this.told.values()];
    return shown.map(({ names, isDoubtful }) => `${names[0]}${isDoubtful ? "?" : ""}`).sort();
  }

  /** What should be answered, from the rules and all rows. */
  due(): Map<string, NameRecord> {
    const found = new Map<string, NameRecord>();
    const subnet = (peer: string, name: string) => this.rows.networks.get(peer, name)?.subnet;
    for (const { origin, key, row } of this.rows.names.rows()) {
      const member = this.states.get(origin);
      const state = origin === SELF ? "alive" : this.#stateOf(member);
      const own = subnet(SELF, row.network);
      const isOther = own !== undefined && (subnet(origin, row.network) ?? own) !== own;
      if ((state !== "alive" && state !== "suspect") || isOther) continue;
      const { network, ip, names, ports, isUnhealthy } = row;
      const isDoubtful = isUnhealthy || state === "suspect";
      const record = { network, names, ip, peer: origin, endpointId: key, ports, isDoubtful };
      found.set(`${origin}/${key}`, record);
    }
    return found;
  }

  /** A restart counts as a suspicion, as long as it is young. */
  #stateOf(member: Seen | undefined): MemberState | undefined {
    if (member === undefined) return undefined;
    const { state, evidence, sinceMs } = member;
    const isRestart = state === "left" || (state === "dead" && evidence === "refused");
    const isYoung = this.clock.nowMs() - sinceMs < TIMES.restartGraceMs;
    return isRestart && isYoung ? "suspect" : state;
  }
}

test("names of gone peers go at once, those of silent or unhealthy ones are doubtful", () => {
  const world = new World();
  world.put(SELF, "own");
  world.put(SELF, "ill", "n", true);
  world.put(OTHER, "b1");
  world.put(THIRD, "c1");
  assert.deepEqual(world.seen(), ["ill?", "own"], "nobody has met the others");
  world.become(OTHER, "alive");
  world.become(THIRD, "alive");
  assert.deepEqual(world.seen(), ["b1", "c1", "ill?", "own"]);
  world.become(OTHER, "suspect");
  world.become(THIRD, "dead");
  assert.deepEqual(world.seen(), ["b1?", "ill?", "own"]);
  world.become(OTHER, "alive");
  world.become(THIRD, "alive");
  assert.deepEqual(world.seen(), ["b1", "c1", "ill?", "own"], "back on return");
  const { calls } = world;
  world.become(THIRD, "alive");
  assert.equal(world.calls, calls, "dns hears only of what changes");
});

test("names of a host whose daemon restarts are doubtful for as long as that may take", () => {
  const world = new World();
  world.put(OTHER, "b1");
  world.become(OTHER, "alive");
  const restarts = [
    () => world.become(OTHER, "left"),
    () => world.become(OTHER, "dead", "refused"),
  ];
  for (const restart of restarts) {
    restart();
    world.clock.advance(TIMES.restartGraceMs - 1);
    assert.deepEqual(world.seen(), ["b1?"]);
    world.clock.advance(1);
    assert.deepEqual(world.seen(), [], "it did not come back");
    world.become(OTHER, "alive");
    assert.deepEqual(world.seen(), ["b1"]);
  }
  world.become(THIRD, "left");
  world.put(THIRD, "late");
  assert.deepEqual(world.seen(), ["b1", "late?"], "its rows come late");
  world.clock.advance(TIMES.restartGraceMs);
  assert.deepEqual(world.seen(), ["b1"]);
  world.become(OTHER, "left");
  world.become(OTHER, "alive");
  world.clock.advance(TIMES.restartGraceMs);
  assert.deepEqual(world.seen(), ["b1"], "it did");
  world.become(OTHER, "dead", "refused");
  world.become(OTHER, "dead", "silent");
  assert.deepEqual(world.seen(), [], "the whole host is gone");
  world.become(OTHER, "left");
  world.names.close();
  assert.deepEqual(world.clock.armed(), []);
});

test("rows that come and go in one batch leave what came last", () => {
  const world = new World();
  world.put(SELF, "a");
  const value = namesToWire({
    ...{ network: "n", ip: "10.0.0.3", names: ["b"], ports: [], isUnhealthy: false },
  });
  world.tables.write([
    ["names", SELF, "a", undefined],
    ["names", SELF, "b", value],
    ["names", SELF, "b", undefined],
    ["names", SELF, "a", value],
  ]);
  assert.deepEqual(world.seen(), ["b"]);
  assert.deepEqual(world.told, world.due());
});

for (let seed = 1; seed <= 20; seed += 1) {
  test(`after any changes dns holds what the rules say of all rows, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const one = <T>(of: readonly T[]): T => of[random.below(of.length)] as T;
    const world = new World();
    for (let step = 0; step < 200; step += 1) {
      const [peer, network] = [one(PEERS), one(["blue", "red", "*"])];
      const kind = random.below(10);
      if (kind < 5) world.put(peer, `e${random.below(4)}`, network, random.chance(0.3));
      else if (kind < 6) world.tables.write([["names", peer, `e${random.below(4)}`, undefined]]);
      else if (kind < 8) {
        const state = one(["alive", "suspect", "dead", "left"] as const);
        world.become(peer, state, one(["silent", "refused"] as const));
      } else if (kind < 9) world.clock.advance(random.below(TIMES.restartGraceMs));
      else {
        const row = { vni: 1, subnet: one(SUBNETS), gateway: "10.50.0.1", mtuBytes: 1450 };
        const value = random.chance(0.7) ? networkToWire({ ...row, internal: false }) : undefined;
        world.tables.write([["networks", peer, one(["blue", "red"]), value]]);
      }
      assert.deepEqual(world.told, world.due(), `step ${step}`);
    }
  });
}
