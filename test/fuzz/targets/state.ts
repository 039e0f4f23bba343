/**
 * State files that came back wrong: a daemon refuses with STATE_CORRUPT and the cure, or begins
 * that part anew; it never dies on the way, and what it took it can write again.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { OutsideServices } from "../../../dns/index.ts";
import { encodeRecord } from "../../../ipalloc/journal.ts";
import { Ledger as AddressLedger } from "../../../ipalloc/ledger.ts";
import {
  Contacts,
  decodeWire,
  type ErrorCode,
  encodeWire,
  Keyring,
  keyFromSecret,
  nextIdentity,
  openKeyring,
  type Store,
  settleStateFormat,
  type Tables,
} from "../../../mesh/index.ts";
import { parseJournal } from "../../../mesh/io/file-store.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { dissolved, founded, joined, NO_CHARTER } from "../../../overlay/charter/charter.ts";
import { CharterBook } from "../../../overlay/charter/charter-book.ts";
import { charterFromWire, charterToWire } from "../../../overlay/charter/charter-wire.ts";
import { Ledger } from "../../../overlay/ledger.ts";
import { endpointRecord, networkRecord } from "../../../overlay/ledger-records.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { mutated } from "../mutate.ts";
import { refusalOf } from "../refusal.ts";
import { wireCases } from "../samples.ts";
import type { Target } from "../target.ts";
import { RECORDS } from "./addresses.ts";

const [SELF, OTHER] = ["a".repeat(32), "b".repeat(32)];
const ring = Keyring.of(keyFromSecret(Buffer.alloc(32, 7))).add(keyFromSecret(Buffer.alloc(32, 8)));

function tablesDump(): Uint8Array {
  const replica = new Replica(OTHER, 5);
  for (let at = 0; at < 4; at += 1) replica.put("names", `key${at}`, ["tsweave", "10.0.0.1", []]);
  replica.remove("names", "key0");
  const keeper = new Replica(SELF, 5);
  keeper.merge(replica.ownDelta(0));
  return keeper.dump();
}

const network = {
  ...{
    id: "d".repeat(64),
    name: "tsweave",
    vni: 256,
    subnet: "10.32.0.0/12",
    gateway: "10.32.0.1",
  },
  ...{ mtuBytes: 1400, internal: false, ipRange: "", underlayMtuBytes: 0, auxiliary: [] },
};
const endpoint = {
  ...{ id: "e".repeat(64), networkId: network.id, ip: "10.32.0.5", mac: "02:42:0a:20:00:05" },
  ...{ joined: true, sandboxKey: "/run/1", containerId: "c", names: ["web"], links: ["db"] },
};

function servicesFile(): Uint8Array {
  return encodeWire([
    ["db", "*", "192.0.2.7"],
    ["ldap.corp.example", "back", "192.0.2.8"],
  ]);
}

/** Opens something on a store that holds the bytes; `codes` are its ways to refuse. */
function opening(
  name: string,
  samples: readonly Uint8Array[],
  codes: readonly ErrorCode[],
  open: (store: Store, bytes: Uint8Array, log: QuietLog) => Promise<unknown>,
  key = name,
): Target {
  const run = async (bytes: Uint8Array): Promise<string | undefined> => {
    const store = new MemoryStore();
    store.snapshots.set(key, bytes);
    store.journals.set(key, [...samples, bytes]);
    const log = new QuietLog();
    try {
      await open(store, bytes, log);
      return log.lines.find(({ level }) => level === "warn" || level === "error")?.message;
    } catch (error) {
      return refusalOf(error, codes);
    }
  };
  return { name, weight: 0.5, make: wireCases(samples.map(decodeWire)), open: () => ({ run }) };
}

const clock = new VirtualClock();
const blue = {
  ...{ subnet: "10.50.0.0/16", gateway: "10.50.0.9", internal: true, underlayMtuBytes: 9000 },
  ...{ ipRange: "10.50.4.0/22", auxiliary: ["10.50.0.7"], labels: [["a", "b"] as const] },
};
const CHARTER = charterToWire(dissolved(founded(NO_CHARTER, OTHER, 3, blue), "10.51.0.0/16"));

export const stateTargets: readonly Target[] = [
  opening("keyring", [ring.encode()], ["STATE_CORRUPT", "CONFIG"], async (store) => {
    await openKeyring(store, undefined);
  }),
  opening("contacts", [contactsFile()], [], async (store, _bytes, log) => {
    const contacts = await Contacts.open({ store, clock, log });
    await contacts.add([]);
    assert.deepEqual((await Contacts.open({ store, clock, log })).targets(), contacts.targets());
  }),
  opening("services", [servicesFile()], [], async (store, _bytes, log) => {
    const publish = () => undefined;
    const services = await OutsideServices.open({ store, log, publish });
    await services.add([{ name: "x", network: "*", ip: "192.0.2.1" }]);
    const again = await OutsideServices.open({ store, log, publish });
    assert.deepEqual(again.list(), services.list());
  }),
  opening("format", [formatFile()], ["STATE_VERSION", "STATE_CORRUPT"], async (store) => {
    await settleStateFormat(store, "0.1.0");
  }),
  opening("identity", [identityFile()], ["STATE_CORRUPT"], async (store) => {
    const { id, incarnation } = await nextIdentity({ store, clock, random: new SeededRandom(1) });
    assert.ok(/^[0-9a-f]{32}$/.test(id) && Number.isSafeInteger(incarnation));
  }),
  opening(
    "ledger",
    [encodeWire(networkRecord(network)), encodeWire(endpointRecord(endpoint))],
    [],
    async (store, _bytes, log) => {
      const ledger = await Ledger.open(store, log);
      // What the third record is does not take the two before it away, unless it says so.
      assert.ok(ledger.networks().length + ledger.endpoints().length >= 1);
    },
    "overlay",
  ),
  opening(
    "address-ledger",
    RECORDS.map(encodeRecord),
    ["STATE_CORRUPT"],
    async (store, _bytes, log) => {
      const { state } = await AddressLedger.open({ clock, store, log }, () => "a".repeat(16));
      assert.ok(/^[0-9a-f]{16}$/.test(state.store));
    },
    "ipalloc",
  ),
  opening(
    "charters",
    [encodeWire([["blue", CHARTER]])],
    ["STATE_CORRUPT"],
    async (store, _, log) => {
      const tables = { rows: () => [], watch: () => () => undefined, put: () => undefined };
      const ports = { store, tables: tables as unknown as Tables, clock, log, live: () => [SELF] };
      const book = await CharterBook.open(ports, SELF);
      for (const [, charter] of book.charters()) {
        const wire = charterToWire(joined(charter, charter));
        assert.deepEqual(charterToWire(charterFromWire(wire)), wire);
      }
      await book.stop();
    },
  ),
  opening("tables-file", [tablesDump()], ["BAD_MESSAGE"], async (_store, bytes) => {
    const replica = new Replica(SELF, 5);
    replica.restore(bytes);
    const again = new Replica(SELF, 5);
    again.restore(replica.dump());
    assert.deepEqual(again.vector(), replica.vector());
    assert.deepEqual(again.rows("names").length, replica.rows("names").length);
  }),
  {
    name: "journal-file",
    weight: 0.5,
    make: (random) => mutated(random, [journalFile()]),
    open: () => ({
      run: (bytes) => {
        const { records, end } = parseJournal(bytes);
        assert.ok(end <= bytes.length);
        const twice = parseJournal(bytes.subarray(0, end));
        assert.deepEqual([twice.records.length, twice.end], [records.length, end]);
        return end === bytes.length ? undefined : "a torn tail";
      },
    }),
  },
];

function formatFile(): Uint8Array {
  return encodeWire([1, "0.1.0"]);
}

function identityFile(): Uint8Array {
  return encodeWire([Buffer.alloc(16, 1), 1_790_000_000]);
}

function contactsFile(): Uint8Array {
  return encodeWire([[["192.168.48.11", 6783]], [[OTHER, ["fd00::11", 6783]]]]);
}

/** Records behind their length and the first eight bytes of their SHA-256, as the store writes. */
function journalFile(): Uint8Array {
  return Buffer.concat(
    [1, 40, 300].flatMap((length) => {
      const record = Buffer.alloc(length, length);
      const head = Buffer.alloc(12);
      head.writeUInt32BE(length);
      head.set(createHash("sha256").update(record).digest().subarray(0, 8), 4);
      return [head, record];
    }),
  );
}
