/** A host whose underlay address changes while its daemon runs, with containers that talk. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../lib/mesh-hosts.ts";
import { connection, type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { type AttachedContainer, foundedMesh } from "../lib/netns-mesh.ts";

const TAG = `v${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
let all: NetnsDaemon[] = [];
let containers: AttachedContainer[] = [];

before(async () => {
  await lab.open(3);
  ({ all, containers } = await foundedMesh(lab, daemons));
});

after(async () => {
  await daemons.close();
  await lab.close();
});

async function ping(from: number, to: number): Promise<boolean> {
  const [one, other] = [containers[from - 1], containers[to - 1]];
  const line = `nsenter --net=/run/netns/${one?.netns} busybox ping -c 1 -W 1 ${other?.ip}`;
  return (await exitCode(line)) === 0;
}

test("a new address is told to all, and the tunnels follow it", async () => {
  const [h1, h2, h3] = all as [NetnsDaemon, NetnsDaemon, NetnsDaemon];
  const [, host2] = lab.hosts as [NetnsHost, NetnsHost, NetnsHost];
  await eventually("ping", 10_000, async () => assert.ok(await ping(1, 2)));
  await sh(`ip -n ${host2.netns} addr del 192.0.2.2/24 dev eth0`);
  await eventually("said", 15_000, async () => {
    const { health } = await h2.client.status();
    assert.ok(health.problems.some(({ code }) => code === "ADDRESS_GONE"));
  });
  const startMs = performance.now();
  await sh(`ip -n ${host2.netns} addr add 192.0.2.22/24 dev eth0`);
  await eventually("packets both ways", 30_000, async () => {
    assert.ok((await ping(1, 2)) && (await ping(2, 3)));
  });
  const tookMs = Math.round(performance.now() - startMs);
  console.log(`# packets again ${tookMs} ms after the new address`);
  await eventually("everybody knows", 20_000, async () => {
    for (const one of [h1, h3]) {
      const { address, state } = await connection(one, h2);
      assert.deepEqual([address, state], ["192.0.2.22:6783", "established"]);
      assert.equal((await connection(h2, one)).state, "established");
    }
    const { peer, health } = await h2.client.status();
    assert.equal(peer.advertise, "192.0.2.22:6783");
    assert.deepEqual(health.problems, []);
  });
  const { endpoints } = await h1.client.read("endpoints");
  assert.equal(endpoints.find(({ name }) => name === "c2")?.vtep, "192.0.2.22");
  const [{ namespace } = { namespace: "" }] = (await h1.client.host()).namespaces;
  const fdb = await sh(`bridge -n ${namespace} fdb show dev vxlan0`);
  // Copies of broadcasts to the old address go after the grace, as all entries.
  const unicast = fdb.split("\n").filter((line) => line.startsWith("02:42:"));
  const leadsTo = (vtep: string) => unicast.some((line) => line.includes(`dst ${vtep} `));
  assert.match(fdb, /ff:ff:ff:ff:ff:ff dst 192\.0\.2\.22 /);
  assert.ok(leadsTo("192.0.2.22") && !leadsTo("192.0.2.2"), fdb);
  assert.deepEqual((await h1.client.status()).health.problems, []);
});
