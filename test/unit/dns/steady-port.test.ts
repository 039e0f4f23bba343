/** The port of a sandbox: its own, the same each time, away from the kernel's choices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyPort } from "../../../dns/io/steady-port.ts";

test("one port a sandbox, between 20000 and 31999, spread evenly", () => {
  const counts = new Map<number, number>();
  for (let at = 0; at < 12_000; at += 1) {
    const key = `/var/run/docker/netns/${at.toString(16).padStart(12, "0")}`;
    const port = steadyPort(key);
    assert.equal(steadyPort(key), port);
    assert.ok(port >= 20_000 && port < 32_000, String(port));
    counts.set(port, (counts.get(port) ?? 0) + 1);
  }
  assert.ok(counts.size > 7000, `${counts.size} different ones of 12000`);
  assert.ok(Math.max(...counts.values()) < 12);
});
