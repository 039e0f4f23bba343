/** The store keeps what it acknowledged, whatever a crash does to the tail. */
import assert from "node:assert/strict";
import {
  appendFile,
  type FileHandle,
  mkdtemp,
  open,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it, mock } from "node:test";
import { TsweaveError } from "../../../mesh/index.ts";
import { FileStore } from "../../../mesh/io/file-store.ts";
import { lockState } from "../../../mesh/io/state-lock.ts";
import { storeError } from "../../../mesh/io/store-error.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const made: string[] = [];

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tsweave-store-"));
  made.push(path);
  return path;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
function diskFull(call: string): Error {
  const text = `ENOSPC: no space left on device, ${call}`;
  return Object.assign(new Error(text), { code: "ENOSPC" });
}
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

  it("takes zeros at the end of a torn record for torn", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    await store.append("j", bytes(1, 2, 3));
    await store.append("j", bytes(4, 5, 6, 7, 8));
    await store.close();
    const whole = await readFile(join(path, "j.journal"));
    for (const zeros of [1, 4, 16, 17]) {
      const torn = Buffer.from(whole).fill(0, whole.length - zeros);
      await writeFile(join(path, "j.journal"), torn);
      const again = await FileStore.open(path, new QuietLog());
      assert.deepEqual(plain(await again.records("j")), [[1, 2, 3]]);
      assert.equal(again.damage("j"), undefined);
      await again.close();
    }
  });

  it("tells damage before the end wherever it is, and keeps the file aside", async () => {
    const path = await directory();
    const file = join(path, "j.journal");
    const store = await FileStore.open(path, new QuietLog());
    for (const record of [bytes(1, 2, 3), bytes(4, 5, 6), bytes(7, 8, 9)]) {
      await store.append("j", record);
    }
    await store.close();
    const whole = await readFile(file);
    const size = whole.length / 3;
    for (let at = size; at < 2 * size; at++) {
      for (const mask of [0x01, 0x80]) {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        await writeFile(file, damaged);
        const again = await FileStore.open(path, new QuietLog());
        assert.deepEqual(plain(await again.records("j")), [[1, 2, 3]]);
        const keptAt = `${file}.damaged`;
        assert.deepEqual(again.damage("j")?.lostBytes, 2 * size, `byte ${at}`);
        assert.deepEqual(await readFile(file), damaged, "only a write changes it");
        if (mask === 1) await again.append("j", bytes(9));
        else await again.rewrite("j", [bytes(1, 2, 3), bytes(9)]);
        assert.deepEqual(await readFile(keptAt), damaged);
        assert.deepEqual(plain(await again.records("j")), [[1, 2, 3], [9]]);
        assert.equal(again.damage("j"), undefined);
        await again.close();
      }
    }
    const rotten = Buffer.from(whole);
    rotten[rotten.length - 2] = 0x55;
    await writeFile(file, rotten);
    const last = await FileStore.open(path, new QuietLog());
    assert.deepEqual(plain(await last.records("j")), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    assert.equal(last.damage("j")?.lostBytes, size, "no crash alters a whole last record");
    await last.close();
  });

  it("cuts off what a failed append left, and goes on behind what it acknowledged", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    await store.append("j", bytes(1));
    const { length } = await readFile(join(path, "j.journal"));
    const probe = await open(join(path, "probe"), "w");
    const files = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    for (let written = 0; written < length; written += 1) {
      for (const cutFails of [false, true]) {
        const append = mock.method(
          files,
          "appendFile",
          async function (this: FileHandle, data: unknown) {
            await this.write((data as Buffer).subarray(0, written));
            throw diskFull("write");
          },
        );
        const cut = mock.method(files, "truncate", async () => {
          throw diskFull("ftruncate");
        });
        if (!cutFails) cut.mock.restore();
        await assert.rejects(store.append("j", bytes(2)), (error: unknown) => {
          assert.ok(error instanceof TsweaveError);
          assert.equal(error.code, "STATE_UNWRITABLE");
          assert.match(error.line, /cannot write .*\/j: .* no space left \(ENOSPC\); free some/);
          return true;
        });
        append.mock.restore();
        cut.mock.restore();
        await store.append("j", bytes(3));
        const again = await FileStore.open(path, new QuietLog());
        assert.deepEqual(plain(await again.records("j")), [[1], [3]], `${written} bytes`);
        assert.equal(again.damage("j"), undefined);
        await store.rewrite("j", [bytes(1)]);
        await again.close();
      }
    }
    await store.close();
  });

  it("says which file of a full disk, and what to do", async () => {
    const path = await directory();
    const store = await FileStore.open(path, new QuietLog());
    await rm(path, { recursive: true });
    await assert.rejects(store.save("identity", bytes(1)), { code: "STATE_UNWRITABLE" });
    await writeFile(path, "");
    await assert.rejects(FileStore.open(join(path, "state"), new QuietLog()), {
      code: "STATE_UNWRITABLE",
    });
    const full = storeError("/var/lib/tsweave/identity", diskFull("write"));
    assert.equal(full.exitCode, 1);
    assert.match(full.line, /\/var\/lib\/tsweave has no space left \(ENOSPC\); free some/);
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
