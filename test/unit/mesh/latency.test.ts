/** The swim engine's preset for long distances, ten times as fast: its package has real timers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SWIM_WAN, scaledTiming } from "../../../mesh/membership/timing.ts";
import { swimUnderTest } from "../../contract/engines.ts";
import { Mesh, sleep, until } from "../../contract/membership.ts";

const timing = scaledTiming(0.1, SWIM_WAN);

test("swim, wan: 150 ms each way and 5 % loss bury nobody, a kill is known", async () => {
  const mesh = new Mesh(swimUnderTest(timing));
  mesh.network.delayMs = 15;
  try {
    const [first, ...rest] = await mesh.joined(6);
    assert.ok(first);
    mesh.network.loss = 0.05;
    await sleep(8 * timing.suspicionMs);
    const events = mesh.peers.flatMap((peer) => peer.events);
    assert.deepEqual(
      events.filter(({ type }) => type === "dead"),
      [],
    );
    await first.engine.stop();
    const knownMs = 12 * timing.intervalMs + 2 * timing.suspicionMs;
    await until("known", knownMs, () => mesh.allSee(rest, "dead", [first]));
    assert.ok(mesh.allSee(rest, "alive"));
  } finally {
    await mesh.end();
  }
});
