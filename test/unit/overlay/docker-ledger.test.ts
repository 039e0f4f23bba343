/** The ledger survives what a crash can do, and stays small. */
import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { encodeWire, type Store } from "../../../mesh/index.ts";
import { FileStore } from "../../../mesh/io/file-store.ts";
import { type HeldEndpoint, type HeldNetwork, Ledger } from "../../../overlay/index.ts";
import { endpointRecord } from "../../../overlay/ledger-records.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const NETWORK: HeldNetwork = {
  id: "a".repeat(64),
  name: "tsweave",
  vni: 256,
  subnet: "10.32.0.0/12",
  gateway: "10.32.0.1",
  mtuBytes: 1450,
  internal: false,
  ipRange: "",
  underlayMtuBytes: 0,
  auxiliary: ["10.32.0.9"],
};

function endpoint(id: string): HeldEndpoint {
  return {
    id,
    networkId: NETWORK.id,
    ip: "10.32.0.2",
    mac: "02:42:0a:20:00:02",
    joined: true,
    sandboxKey: "/var/run/docker/netns/1",
    containerId: "c".repeat(64),
    names: ["web"],
    links: ["db"],
    ports: ["80/tcp"],
    isUnhealthy: true,
  };
}

describe("the ledger", () => {
  it("reads back what it was told", async () => {
    const store = new MemoryStore();
    const ledger = await Ledger.open(store, new QuietLog());
    await ledger.putNetwork(NETWORK);
    await ledger.putEndpoint(endpoint("one"));
    await ledger.putEndpoint(endpoint("two"));
    await ledger.putEndpoint({ ...endpoint("one"), joined: false });
    await ledger.dropEndpoint("two");
    const again = await Ledger.open(store, new QuietLog());
    assert.deepEqual(again.networks(), [NETWORK]);
    assert.deepEqual(again.endpoints(), [{ ...endpoint("one"), joined: false }]);
    await again.dropNetwork(NETWORK.id);
    assert.deepEqual((await Ledger.open(store, new QuietLog())).networks(), []);
  });

  it("reads an endpoint of a version that knew no ports and no health", async () => {
    const store = new MemoryStore();
    const record = endpointRecord(endpoint("one"));
    store.journals.set("overlay", [encodeWire(Array.isArray(record) ? record.slice(0, 10) : 0)]);
    const [found] = (await Ledger.open(store, new QuietLog())).endpoints();
    assert.deepEqual(found, { ...endpoint("one"), ports: [], isUnhealthy: false });
  });

  it("shows nothing that is not on disk", async () => {
    const store = new MemoryStore();
    const ledger = await Ledger.open(store, new QuietLog());
    await ledger.putEndpoint(endpoint("one"));
    store.failure = new Error("disk full");
    await assert.rejects(ledger.putEndpoint(endpoint("two")), /disk full/);
    await assert.rejects(ledger.dropEndpoint("one"), /disk full/);
    assert.deepEqual(
      ledger.endpoints().map(({ id }) => id),
      ["one"],
    );
    store.failure = undefined;
    await ledger.putEndpoint(endpoint("two"));
    assert.equal(ledger.endpoints().length, 2);
  });

  it("loses nothing behind a record that a full disk tore", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "tsweave-ledger-"));
    t.after(() => rm(directory, { recursive: true }));
    const files = await FileStore.open(directory, new QuietLog());
    let isFull = false;
    const store: Store = {
      load: (key) => files.load(key),
      save: (key, bytes) => files.save(key, bytes),
      records: (key) => files.records(key),
      damage: (key) => files.damage(key),
      rewrite: async (key, records) => {
        if (isFull) throw new Error("ENOSPC");
        await files.rewrite(key, records);
      },
      append: async (key, record) => {
        if (!isFull) return await files.append(key, record);
        await appendFile(join(directory, `${key}.journal`), Buffer.alloc(20, 0x2a));
        throw new Error("ENOSPC");
      },
    };
    const ledger = await Ledger.open(store, new QuietLog());
    await ledger.putEndpoint(endpoint("one"));
    isFull = true;
    const refusal = { code: "STATE_UNWRITABLE", message: /journal of endpoints: ENOSPC/ };
    await assert.rejects(ledger.putEndpoint(endpoint("two")), refusal);
    await assert.rejects(ledger.putEndpoint(endpoint("two")), refusal);
    isFull = false;
    await ledger.putEndpoint(endpoint("three"));
    await ledger.dropEndpoint("one");
    await files.close();
    const again = await Ledger.open(
      await FileStore.open(directory, new QuietLog()),
      new QuietLog(),
    );
    assert.deepEqual(
      again.endpoints().map(({ id }) => id),
      ["three"],
    );
  });

  it("leaves out records that it cannot read, with a line in the log", async () => {
    const store = new MemoryStore();
    const ledger = await Ledger.open(store, new QuietLog());
    await ledger.putNetwork(NETWORK);
    await store.append("overlay", encodeWire(["from the future", "x", 1]));
    await store.append("overlay", Uint8Array.of(0xc1));
    await store.append("overlay", encodeWire(["endpoint", "short"]));
    const log = new QuietLog();
    const again = await Ledger.open(store, log);
    assert.deepEqual(again.networks(), [NETWORK]);
    assert.equal(log.lines.filter(({ level }) => level === "warn").length, 3);
  });

  it("goes on when it cannot shorten its journal yet", async () => {
    const store = new MemoryStore();
    const shorten = store.rewrite.bind(store);
    store.rewrite = () => Promise.reject(new Error("disk full"));
    const ledger = await Ledger.open(store, new QuietLog());
    for (let at = 0; at < 600; at += 1) await ledger.putEndpoint(endpoint(`e${at % 3}`));
    store.rewrite = shorten;
    await ledger.putEndpoint(endpoint("e0"));
    assert.ok((store.journals.get("overlay") ?? []).length < 10);
    assert.equal((await Ledger.open(store, new QuietLog())).endpoints().length, 3);
  });

  it("rewrites its journal when most of it is history, losing no append under way", async () => {
    const store = new MemoryStore();
    const ledger = await Ledger.open(store, new QuietLog());
    await Promise.all(
      Array.from({ length: 2000 }, (_, at) => ledger.putEndpoint(endpoint(`e${at % 3}`))),
    );
    assert.ok((store.journals.get("overlay") ?? []).length < 600);
    const again = await Ledger.open(store, new QuietLog());
    assert.deepEqual(
      again
        .endpoints()
        .map(({ id }) => id)
        .sort(),
      ["e0", "e1", "e2"],
    );
  });
});
