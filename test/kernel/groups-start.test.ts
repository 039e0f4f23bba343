/**
 * The first moments of a network on a host: for how long its bridge, which has not heard the
 * members yet, hands groups to all containers, and that members get everything all the while.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { macOf } from "../../overlay/address.ts";
import { Caster, cast, onWire } from "../lib/group-casting.ts";
import { NetnsLab, realClock, sh } from "../lib/netns-hosts.ts";

const GROUP = "239.1.1.2";
/** The bridge's response interval is 1 s; without it this takes 10. */
const UNSNOOPED_MS_MAX = 2000;
const COUNT = 300;
const PAUSE_MS = 10;
const lab = new NetnsLab(`y${(process.pid % 0xffff).toString(16)}`);

before(() => lab.open(1));
after(() => lab.close());

test("a new bridge hands groups to all for a second, and to members from the first", async () => {
  const [host] = lab.hosts;
  assert.ok(host);
  const containers: string[] = [];
  for (const name of ["sender", "member", "bystander"]) containers.push(await lab.container(name));
  const madeMs = realClock.nowMs();
  host.reconciler.start();
  await host.reconciler.flush();
  for (const [at, container] of containers.entries()) {
    const ip = `10.32.0.${at + 5}`;
    const endpoint = { id: `${at}`.repeat(64), network: "tsweave", ip, mac: macOf(ip) };
    await lab.attach(host, endpoint, container);
    await sh(`ip -n ${container} route add 224.0.0.0/4 dev eth0`);
  }
  const [sender = "", member = "", bystander = ""] = containers;
  const caster = await Caster.start(member, "listen", GROUP, "5000");
  try {
    const early = await onWire(bystander, "udp port 5000", async () => {
      const leftMs = UNSNOOPED_MS_MAX - (realClock.nowMs() - madeMs);
      await cast(sender, GROUP, Math.max(1, Math.floor(leftMs / PAUSE_MS)), PAUSE_MS);
    });
    await sleep(Math.max(0, UNSNOOPED_MS_MAX - (realClock.nowMs() - madeMs)));
    console.log(`# flooded in the first ${UNSNOOPED_MS_MAX} ms: ${early.length} frames`);
    const before = caster.count;
    const late = await onWire(bystander, "udp port 5000", () =>
      cast(sender, GROUP, COUNT, PAUSE_MS),
    );
    assert.deepEqual(late, [], "nothing for who is no member");
    await sleep(200);
    assert.equal(caster.count - before, COUNT, "all for the member");
  } finally {
    await caster.stop();
  }
});
