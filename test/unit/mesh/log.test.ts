/** The log where it cannot be written. */
import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { it } from "node:test";
import { openLog } from "../../../mesh/io/log.ts";

it("goes on when the disk of the log is full", async () => {
  const full = await open("/dev/full", "w");
  try {
    const log = openLog("info", full.fd);
    assert.doesNotThrow(() => {
      for (let line = 0; line < 10_000; line += 1) log.info({ line }, "x".repeat(100));
    });
  } finally {
    await full.close();
  }
});
