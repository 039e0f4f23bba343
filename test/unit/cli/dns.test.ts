/** The dns commands against a daemon of fixed facts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { run, serving, temporary } from "./fixture-run.ts";

describe("dns-add and dns-remove", () => {
  it("tell the daemon what was asked, and say what came of it", async (context) => {
    const { backend, at } = await serving(context);
    const added = await run(["dns-add", "db", "192.0.2.1", "192.0.2.2", ...at]);
    assert.deepEqual(
      [added.code, added.out],
      [0, "db on all networks has 192.0.2.1, 192.0.2.2 now\n"],
    );
    const again = await run(["dns-add", "db", "192.0.2.1", "--network", "back", ...at]);
    assert.equal(again.out, "db on network back has 192.0.2.1 already\n");
    const removed = await run(["dns-remove", "db", ...at]);
    assert.equal(removed.out, "db on all networks has 192.0.2.1 no more\n");
    assert.deepEqual(backend.services, [
      { name: "db", ips: ["192.0.2.1", "192.0.2.2"], network: undefined },
      { name: "db", ips: ["192.0.2.1"], network: "back" },
      { name: "db", ips: [], network: undefined },
    ]);
  });

  it("need a name, and dns-add an address", async (context) => {
    const { backend, at } = await serving(context);
    for (const words of [["dns-add"], ["dns-add", "db"], ["dns-remove"], ["dns-lookup"]]) {
      assert.equal((await run([...words, ...at])).code, 2, words.join(" "));
    }
    assert.deepEqual(backend.services, []);
  });
});

describe("dns-lookup", () => {
  it("prints a table, or one object", async (context) => {
    const { at } = await serving(context);
    const text = await run(["dns-lookup", "web", ...at]);
    assert.match(text.out, /^NAME +TYPE +TTL +DATA\nweb +A +5s +10\.32\.0\.2\n$/);
    const json = await run(["dns-lookup", "web", "--type", "TXT", "--json", ...at]);
    assert.deepEqual(JSON.parse(json.out), {
      schema: 1,
      answers: [{ name: "web", type: "TXT", ttlSeconds: 5, data: "10.32.0.2" }],
    });
  });

  it("ends with 5 where there is nothing, with 3 without a daemon", async (context) => {
    const { at } = await serving(context);
    const none = await run(["dns-lookup", "nobody", "--network", "back", ...at]);
    assert.deepEqual([none.code, none.out], [5, ""]);
    assert.match(none.err, /no name nobody back/);
    assert.equal((await run(["dns-lookup", "web", "--run-dir", await temporary(context)])).code, 3);
  });
});
