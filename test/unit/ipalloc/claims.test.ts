/** `--ip`: an address that moves to another host right after it was released. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { foundedMesh } from "./sim-founded.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";

test("a released address moves at once when every live peer has dropped its old row", async () => {
  const mesh = await foundedMesh(POOL, 3);
  const ip = await within(mesh, mesh.ipalloc(0).allocate(POOL, "first"));
  const move = () => within(mesh, mesh.ipalloc(1).claim(POOL, "second", ip));
  await assert.rejects(move(), { code: "ADDRESS_TAKEN", message: /is leased there/ });
  const { tables } = mesh.host(0).process ?? {};
  if (tables === undefined) throw new Error("down");
  tables.put("endpoints", ip, [ip]);
  await within(mesh, mesh.ipalloc(0).release(POOL, ip));
  await assert.rejects(move(), { code: "ADDRESS_TAKEN", message: /is in use by|is running there/ });
  tables.remove("endpoints", ip);
  await mesh.run(1500);
  tables.late = [mesh.host(2).id];
  await assert.rejects(move(), { code: "ADDRESS_TAKEN", message: /not every peer has dropped it/ });
  tables.late = [];
  assert.equal(await move(), ip);
  // Back again, and nobody gets it while it rests.
  await within(mesh, mesh.ipalloc(1).release(POOL, ip));
  assert.equal(await within(mesh, mesh.ipalloc(0).claim(POOL, "third", ip)), ip);
  for (let n = 0; n < 20; n++) {
    assert.notEqual(await within(mesh, mesh.ipalloc(1).allocate(POOL, `k${n}`)), ip);
  }
});
