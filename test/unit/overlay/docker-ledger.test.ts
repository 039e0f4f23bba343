/** The ledger survives what a crash can do, and stays small. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeWire } from "../../../mesh/index.ts";
import { type HeldEndpoint, type HeldNetwork, Ledger } from "../../../overlay/index.ts";
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
