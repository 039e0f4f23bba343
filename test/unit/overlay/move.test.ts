/** A network's endpoints moved to another namespace of the host. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { netnsName, overlayEnd } from "../../../overlay/model.ts";
import { Reconciler } from "../../../overlay/reconcile.ts";
import { BRIDGE, VXLAN } from "../../../overlay/state.ts";
import { FakeKernel } from "../../lib/fake-kernel.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { input, local, NET, NETNS } from "./samples.ts";

const TO = { ...NET, id: "fedcba9876543210".repeat(4) };

test("pairs move with their containers attached, and the old namespace goes", async () => {
  const kernel = new FakeKernel();
  const [one, two] = [local("1", "10.32.0.5"), local("2", "10.32.0.6")];
  const box = { input: input({ locals: [one, two] }) };
  const ports = { kernel, clock: new VirtualClock(), log: new QuietLog() };
  const reconciler = new Reconciler(ports, () => box.input);
  await reconciler.plug(one, NET);
  await reconciler.plug(two, NET);
  box.input = { ...box.input, networks: [TO] };
  const ids = [one.id, two.id, "3".repeat(64)];
  await reconciler.moveNetwork(NET, TO, ids);
  assert.equal(kernel.namespaces.has(NETNS), false);
  const { links } = kernel.get(netnsName(TO));
  for (const { id } of [one, two]) {
    const link = links.get(overlayEnd(id));
    assert.deepEqual([link?.master, link?.up], [BRIDGE, true]);
  }
  assert.equal(links.get(VXLAN)?.vxlan?.vni, NET.vni);
  assert.equal(kernel.hostLinks.size, 2);
  // Again, as after a crash in the middle: nothing is lost.
  await reconciler.moveNetwork(NET, TO, ids);
  assert.equal(kernel.get(netnsName(TO)).links.size, links.size);
});
