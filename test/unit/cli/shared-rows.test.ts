/** Whose names are answered, and whose only for want of better ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedRows } from "../../../cli/wiring/shared-rows.ts";
import type { Member, MemberState, TableRow, Tables } from "../../../mesh/index.ts";
import { namesToWire } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const [SELF, OTHER, THIRD] = ["a", "b", "c"].map((digit) => digit.repeat(32));

test("names of gone peers go at once, those of silent or unhealthy ones are doubtful", () => {
  const states = new Map<string, MemberState>([
    [SELF ?? "", "alive"],
    [OTHER ?? "", "alive"],
    [THIRD ?? "", "alive"],
  ]);
  const row = (origin = "", key: string, isUnhealthy = false): TableRow => ({
    origin,
    table: "names",
    key,
    value: namesToWire({ network: "n", ip: "10.0.0.2", names: [key], ports: [], isUnhealthy }),
  });
  const all = [row(SELF, "own"), row(SELF, "ill", true), row(OTHER, "b1"), row(THIRD, "c1")];
  const tables = {
    rows: (table: string) => (table === "names" ? all : []),
    watch: () => () => undefined,
  } as unknown as Tables;
  const isHere = (peer: string) => ["alive", "suspect"].includes(states.get(peer) ?? "dead");
  const heirs = { namesCount: isHere, entriesCount: () => true, disowned: () => false };
  const members = () => [...states].map(([id, state]) => ({ id, state }) as unknown as Member);
  const rows = new SharedRows(
    { tables, heirs: heirs as never, members, log: new QuietLog() },
    SELF ?? "",
  );
  const seen = () =>
    rows.nameRecords().map(({ names, isDoubtful }) => `${names[0]}${isDoubtful ? "?" : ""}`);
  assert.deepEqual(seen(), ["own", "ill?", "b1", "c1"]);
  states.set(OTHER ?? "", "suspect").set(THIRD ?? "", "dead");
  assert.deepEqual(seen(), ["own", "ill?", "b1?"]);
  states.set(OTHER ?? "", "alive").set(THIRD ?? "", "left");
  assert.deepEqual(seen(), ["own", "ill?", "b1"]);
  states.set(THIRD ?? "", "alive");
  assert.deepEqual(seen(), ["own", "ill?", "b1", "c1"], "back on return");
});
