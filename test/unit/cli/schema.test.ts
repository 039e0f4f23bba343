/** The published schemas: one for each command that prints JSON, and what is printed fits. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { READS } from "../../../cli/control/api.ts";
import { REPLIES, schemaDocument } from "../../../cli/schema/replies.ts";
import { misfits } from "../../lib/json-schema.ts";
import { run, serving } from "./fixture-run.ts";

/** Commands as they are asked on a daemon of fixed facts; each fits the schema of its words. */
const ASKED: readonly (readonly [schema: string, line: string])[] = [
  ["status", "status"],
  ...READS.map((name) => [`status ${name}`, `status ${name}`] as const),
  ["network ls", "network"],
  ["network create", "network create blue"],
  ["network rm", "network rm blue"],
  ["keys", "keys"],
  ["keys", "keys use ab12"],
  ["ps", "ps"],
  ["attach", "attach /run/netns/blue"],
  ["detach", "detach /run/netns/blue"],
  ["expose", "expose"],
  ["hide", "hide"],
  ["reconcile", "reconcile --dry-run"],
  ["netns", "netns"],
  ["dns-lookup", "dns-lookup web"],
  ["rmpeer", "rmpeer host2 --yes"],
  ["adopt", "adopt host2 --yes"],
  ["wait", "wait --for founded"],
  ["test", "test"],
  ["log-level", "log-level"],
  ["log-level", "log-level debug"],
];

describe("schemas", () => {
  it("are there for every command with --json, and for no other", async () => {
    const printing: string[] = [];
    for (const { name, load } of COMMANDS) {
      if ((await load()).options.some((option) => option.name === "json")) printing.push(name);
    }
    const published = new Set(Object.keys(REPLIES).map((words) => words.split(" ")[0]));
    assert.deepEqual([...published].toSorted(), printing.toSorted());
  });

  for (const [schema, line] of ASKED) {
    it(`'tsweave ${line} --json' is as published`, async (context) => {
      const { at } = await serving(context);
      const { out, err } = await run([...line.split(" "), ...at, "--json"]);
      const known = REPLIES[schema];
      assert.ok(known !== undefined && out !== "", err);
      assert.deepEqual(misfits(known, JSON.parse(out)), []);
    });
  }

  it("are printed, all or one", async () => {
    const all = JSON.parse((await run(["schema"])).out);
    assert.deepEqual(all.$defs, JSON.parse(JSON.stringify(REPLIES)));
    const one = JSON.parse((await run(["schema", "status", "peers"])).out);
    assert.deepEqual(one, JSON.parse(JSON.stringify(schemaDocument("status peers"))));
    assert.equal(one.title, "tsweave status peers --json");
    const unknown = await run(["schema", "stop"]);
    assert.deepEqual([unknown.code, unknown.out], [5, ""]);
    assert.match(unknown.err, /no command prints JSON as 'stop'/);
  });
});

describe("the check of this test", () => {
  const status = REPLIES["status targets"] ?? {};
  const good = { schema: 1, targets: [{ address: "a:1", state: "trying", attempts: 3 }] };

  it("finds what is missing, wrong and not published", () => {
    assert.deepEqual(misfits(status, good), []);
    const [target] = good.targets;
    const wrong: readonly [unknown, RegExp][] = [
      [{ ...good, schema: 2 }, /schema: not 1/],
      [{ schema: 1 }, /targets: is missing/],
      [{ ...good, targets: [{ ...target, state: "lost" }] }, /targets\[0\]\.state: "lost" is none/],
      [
        { ...good, targets: [{ ...target, attempts: 1.5 }] },
        /attempts: 1\.5 is not of type integer/,
      ],
      [{ ...good, more: true }, /more: is not published/],
    ];
    for (const [value, expected] of wrong) assert.match(misfits(status, value).join(), expected);
  });
});
