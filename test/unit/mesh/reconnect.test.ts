/** When engines look for who is gone: at once and as long as there is somebody, and only then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeMesh } from "../../sim/native-mesh.ts";

/** Timers of greetings now, those of all peers together. */
function seeking(mesh: NativeMesh): number {
  return mesh.clock.armed().filter((name) => name === "membership-reconnect").length;
}

test("a whole mesh wakes nobody to look for the lost; after a death all do", async () => {
  const mesh = new NativeMesh(1);
  await mesh.joined(5);
  await mesh.clock.run(2000);
  assert.equal(seeking(mesh), 0);
  const [, victim] = mesh.peers;
  assert.ok(victim);
  mesh.pause(victim);
  await mesh.until(6000, () => mesh.deaths.length >= 4);
  await mesh.clock.run(50);
  assert.equal(seeking(mesh), 4, "all that run");
  await mesh.clock.run(60_000);
  assert.equal(seeking(mesh), 4, "no address is ever given up");
  mesh.resume(victim);
  await mesh.until(3000, () => mesh.seesAll());
  await mesh.clock.run(2000);
  assert.equal(seeking(mesh), 0, "and all sleep again");
  await mesh.end();
});
