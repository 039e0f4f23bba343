/** What a probe sees of one tunnel: its size, silence, and a card that spoils checksums. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run } from "../../overlay/io/exec.ts";
import { TunnelProbe } from "../../overlay/io/tunnel-probe.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { QuietLog } from "../lib/quiet-log.ts";

const TAG = `b${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const probes: TunnelProbe[] = [];
const IDS = ["1".repeat(32), "2".repeat(32)] as const;

function hosts(): [NetnsHost, NetnsHost] {
  const [a, b] = lab.hosts;
  assert.ok(a && b);
  return [a, b];
}

/** A probe network on both hosts; asks about the second one from the first. */
async function asking(addresses: readonly [string, string], underlay: 4 | 6, vxlanPort: number) {
  const [one, other] = hosts().map((host, at) => {
    const self = { peer: IDS[at] ?? "", hosts: [addresses[at] ?? ""], vxlanPort, underlay };
    return new TunnelProbe(self, new QuietLog(), host.netns);
  });
  assert.ok(one && other);
  probes.push(one, other);
  const peer = (at: 0 | 1) => [{ peer: IDS[at], vtep: addresses[at], hosts: [addresses[at]] }];
  await other.probe([], peer(0));
  const ask = async (fullBytes: number) => {
    const [, vtep] = addresses;
    const result = (await one.probe([{ vtep, fullBytes }], peer(1))).get(vtep);
    return [result?.small, result?.isFull, result?.largestBytes, result?.isChecked];
  };
  return { one, ask };
}

before(() => lab.open(2));
after(async () => {
  for (const probe of probes) await probe.remove();
  await lab.close();
});

test("sizes, silence and spoiled checksums over IPv4", async () => {
  const [{ netns }] = hosts();
  const { one, ask } = await asking(["192.0.2.1", "192.0.2.2"], 4, 4789);
  assert.deepEqual(await ask(1450), [3, true, null, true]);
  assert.deepEqual(await ask(1500), [3, false, 1450, true]);
  await sh(`ip -n tw${TAG}-lan link set port2 mtu 1400`);
  // A bridge lets four bytes more through than its port's MTU: room for a VLAN tag.
  assert.deepEqual(await ask(1450), [3, false, 1354, true]);
  await sh(`ip -n tw${TAG}-lan link set port2 mtu 1500`);
  assert.deepEqual(await ask(1450), [3, true, null, true]);

  // The card: drops what has a checksum that is still to be computed, 0x84e5 for these packets.
  const nft = async (script: string) =>
    await run(["nsenter", `--net=/run/netns/${netns}`, "nft", script]);
  await nft("add table ip card; add chain ip card out { type filter hook output priority 0 ; }");
  await nft(`add rule ip card out udp dport 4789 @th,448,16 ${0x84e5} drop`);
  assert.deepEqual(await ask(1450), [3, true, null, false]);
  assert.equal(await one.offload(false), true);
  assert.deepEqual(await ask(1450), [3, true, null, true]);
  assert.equal(await one.offload(true), true);
  assert.deepEqual(await ask(1450), [3, true, null, false]);
  await nft("flush chain ip card out; add rule ip card out udp dport 4789 drop");
  assert.deepEqual(await ask(1450), [0, false, null, null]);
  await nft("delete table ip card");
});

test("over IPv6, with other addresses, and without a trace afterwards", async () => {
  for (const [at, { netns }] of hosts().entries()) {
    await sh(`ip -n ${netns} addr add fd00::${at + 1}/64 dev eth0 nodad`);
  }
  const { one, ask } = await asking(["fd00::1", "fd00::2"], 6, 4790);
  assert.deepEqual(await ask(1430), [3, true, null, true]);
  assert.deepEqual(await ask(1431), [3, false, 1430, true]);
  one.relocate(["fd00::1", "192.0.2.1"]);
  assert.deepEqual(await ask(1430), [3, true, null, true]);
  for (const probe of probes) await probe.remove();
  const [{ netns }] = hosts();
  const bound = `ss -Hulnp sport = :4790`;
  // The kernel takes a namespace apart after its last process.
  await eventually("the port is free", 5000, async () => {
    assert.equal(await sh(`ip netns exec ${netns} ${bound}`), "");
  });
  assert.equal(await exitCode(`ip netns exec ${netns} true`), 0);
});
