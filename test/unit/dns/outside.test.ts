/** Services outside of the mesh: durable, this host's own, checked before they are taken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OutsideServices, outsideAddress, outsideName } from "../../../dns/index.ts";
import { LIMITS } from "../../../mesh/index.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

async function open(store = new MemoryStore()) {
  const rows = new Map<string, string>();
  const log = new QuietLog();
  const services = await OutsideServices.open({
    store,
    log,
    publish: (key, service) => {
      if (service === undefined) rows.delete(key);
      else rows.set(key, `${service.name} ${service.network} ${service.ip}`);
    },
  });
  return { services, store, log, rows: () => [...rows.values()].sort() };
}

const db = (ip: string, network = "*") => ({ name: "db", network, ip });

test("what is added is in the tables and outlives a restart; twice is once", async () => {
  const first = await open();
  assert.deepEqual(await first.services.add([db("192.0.2.1"), db("192.0.2.2", "back")]), [
    db("192.0.2.1"),
    db("192.0.2.2", "back"),
  ]);
  assert.deepEqual(await first.services.add([db("192.0.2.1"), db("192.0.2.3")]), [db("192.0.2.3")]);
  const wanted = ["db * 192.0.2.1", "db * 192.0.2.3", "db back 192.0.2.2"];
  assert.deepEqual(first.rows(), wanted);
  const second = await open(first.store);
  assert.deepEqual(second.rows(), wanted);
});

test("removal: some addresses or all, of the one network", async () => {
  const { services, rows, store } = await open();
  await services.add([db("192.0.2.1"), db("192.0.2.2"), db("192.0.2.3"), db("192.0.2.1", "back")]);
  assert.equal((await services.remove("db", "*", ["192.0.2.2", "192.0.2.9"])).length, 1);
  assert.equal((await services.remove("db", "*", [])).length, 2);
  assert.equal((await services.remove("db", "*", [])).length, 0);
  assert.deepEqual(rows(), ["db back 192.0.2.1"]);
  assert.deepEqual((await open(store)).rows(), ["db back 192.0.2.1"]);
});

test("a disk that is full changes nothing", async () => {
  const { services, rows, store } = await open();
  await services.add([db("192.0.2.1")]);
  store.save = async () => {
    throw new Error("no space left");
  };
  await assert.rejects(services.add([db("192.0.2.2")]), /no space/);
  await assert.rejects(services.remove("db", "*", []), /no space/);
  assert.deepEqual(rows(), ["db * 192.0.2.1"]);
  assert.equal(services.list().length, 1);
});

test("a damaged file is named in the log and begun anew", async () => {
  const store = new MemoryStore();
  await store.save("services", Buffer.from("nonsense"));
  const { services, rows, log } = await open(store);
  assert.deepEqual(rows(), []);
  assert.equal(log.lines.at(-1)?.level, "error");
  await services.add([db("192.0.2.1")]);
  assert.deepEqual((await open(store)).rows(), ["db * 192.0.2.1"]);
});

test("a bounded number", async () => {
  const { services } = await open();
  const many = Array.from({ length: LIMITS.servicesMax + 1 }, (_, at) => ({
    ...{ name: `h${at}`, network: "*" },
    ip: "192.0.2.1",
  }));
  await assert.rejects(services.add(many), { code: "BAD_REQUEST" });
  assert.equal(services.list().length, 0);
});

const names: [string, string | undefined][] = [
  ["DB", "db"],
  ["db.", "db"],
  ["db.tsweave.local", "db"],
  ["DB.Tsweave.Local.", "db"],
  ["ldap.corp.example", "ldap.corp.example"],
  ["_sip.x", "_sip.x"],
  ["", undefined],
  ["a b", undefined],
  ["-db", undefined],
  ["a..b", undefined],
  ["10.0.0.1", undefined],
  ["x".repeat(64), undefined],
  ["tsweave.local", "tsweave.local"],
];
for (const [text, wanted] of names) {
  test(`name ${JSON.stringify(text.slice(0, 20))}`, () => {
    if (wanted === undefined)
      assert.throws(() => outsideName(text, "tsweave.local"), { code: "USAGE" });
    else assert.equal(outsideName(text, "tsweave.local"), wanted);
  });
}

test("addresses: plain IPv4 that a host can have", () => {
  assert.equal(outsideAddress("192.0.2.1"), "192.0.2.1");
  for (const bad of ["", "192.0.2", "192.0.2.01", "0.0.0.0", "224.0.0.1", "::1", "256.1.1.1"]) {
    assert.throws(() => outsideAddress(bad), { code: "USAGE" }, bad);
  }
});
