/** Addresses that rows name are known at once, also those that two rows name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressesInUse } from "../../../cli/wiring/in-use.ts";
import { parseAddress } from "../../../ipalloc/index.ts";
import { type RowChange, type Tables, TypedTable } from "../../../mesh/index.ts";
import { endpointFromWire, endpointToWire } from "../../../overlay/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

function table() {
  let tell: (changes: readonly RowChange[]) => void = () => undefined;
  const tables = {
    rows: () => [],
    watch: (_name: string, receive: typeof tell) => {
      tell = receive;
      return () => undefined;
    },
  } as unknown as Tables;
  const endpoints = new TypedTable(tables, "endpoints", endpointFromWire, new QuietLog());
  const row = (ip: string) =>
    endpointToWire({ network: "n", ip, mac: "02:42:0a:20:00:02", vtep: "192.0.2.1" });
  return {
    endpoints,
    put: (origin: string, key: string, ip: string) =>
      tell([{ origin, table: "endpoints", key, value: row(ip) }]),
    remove: (origin: string, key: string) =>
      tell([{ origin, table: "endpoints", key, value: undefined }]),
  };
}

const value = (ip: string) => parseAddress(ip).value;

test("rows from before and after the first question count, each in its pool", () => {
  const { endpoints, put } = table();
  put("a", "1", "10.32.0.2");
  put("a", "2", "10.99.0.2");
  const inUse = addressesInUse(endpoints);
  const used = inUse("10.32.0.0/24");
  assert.deepEqual([...used], [[value("10.32.0.2"), "a"]]);
  put("b", "3", "10.32.0.3");
  assert.equal(used.get(value("10.32.0.3")), "b");
  assert.equal(inUse("10.32.0.0/24"), used);
});

test("an address of two rows is in use until both are gone; a moved one is free", () => {
  const { endpoints, put, remove } = table();
  const used = addressesInUse(endpoints)("10.32.0.0/24");
  put("a", "1", "10.32.0.2");
  put("b", "2", "10.32.0.2");
  remove("a", "1");
  assert.equal(used.get(value("10.32.0.2")), "b");
  put("b", "2", "10.32.0.9");
  assert.deepEqual([...used.keys()], [value("10.32.0.9")]);
  remove("b", "2");
  assert.equal(used.size, 0);
});
