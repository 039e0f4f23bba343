/** The store keeps what it acknowledged, whatever a crash does to the tail. */
import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { TsweaveError } from "../../../mesh/index.ts";
import { FileStore } from "../../../mesh/io/file-store.ts";
import { lockState } from "../../../mesh/io/state-lock.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const made: string[] = [];

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tsweave-store-"));
  made.push(path);
  return path;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const plain = (records: Uint8Array[]): number[][] => records.map((record) => [...record]);

describe("FileStore", () => {
  after(async () => {
    for (const path of made) await rm(path, { recursive: true, force: true });
  });

  it("keeps snapshots and journals over a reopening, readable by root alone", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    assert.equal(await store.load("a"), undefined);
    await store.save("a", bytes(1, 2));
    await store.append("j", bytes(1));
    await store.append("j", bytes(2, 2));
    await store.close();
    const again = await FileStore.open(path, new QuietLog());
    assert.deepEqual([...((await again.load("a")) ?? [])], [1, 2]);
    assert.deepEqual(plain(await again.records("j")), [[1], [2, 2]]);
    assert.equal((await stat(join(path, "a.snapshot"))).mode & 0o777, 0o600);
    await again.rewrite("j", [bytes(9)]);
    await again.append("j", bytes(8));
    assert.deepEqual(plain(await again.records("j")), [[9], [8]]);
    await again.close();
  });

  it("cuts a torn record at every length and goes on appending after it", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    await store.append("j", bytes(1, 2, 3));
    await store.append("j", bytes(4, 5, 6));
    await store.close();
    const whole = await readFile(join(path, "j.journal"));
    for (let length = whole.length - 1; length > whole.length / 2; length -= 1) {
      await writeFile(join(path, "j.journal"), whole);
      await truncate(join(path, "j.journal"), length);
      const torn = await FileStore.open(path, new QuietLog());
      assert.deepEqual(plain(await torn.records("j")), [[1, 2, 3]]);
      await torn.append("j", bytes(7));
      assert.deepEqual(plain(await torn.records("j")), [[1, 2, 3], [7]]);
      await torn.close();
    }
  });

  it("refuses a snapshot that was altered, naming the file", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    await store.save("a", bytes(1, 2));
    await appendFile(join(path, "a.snapshot"), "x");
    await assert.rejects(store.load("a"), (error: unknown) => {
      return error instanceof TsweaveError && error.code === "STATE_CORRUPT";
    });
  });

  it("one holder of a directory at a time", async () => {
    const path = await directory();
    const unlock = await lockState(path);
    await assert.rejects(lockState(path), /another tsweave daemon uses/);
    await unlock();
    await (await lockState(path))();
  });
});
