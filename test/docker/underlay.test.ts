/** The MTU of running containers on real engines when the underlay's changes. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { run } from "../lab/exec.ts";
import { inLan } from "../lab/lan.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["u1", "u2"] as const;
const [A, B] = HOSTS;
let mesh: MeshHosts;

/** The cable of a host, both its ends. */
async function cable(host: string, bytes: number): Promise<void> {
  await run([...inLan(mesh.lab.name), "ip", "link", "set", "dev", host, "mtu", `${bytes}`]);
  await mesh.ok(host, ["ip", "link", "set", "dev", "eth0", "mtu", `${bytes}`]);
}

async function mtuIn(host: string, container: string): Promise<number> {
  return Number(await mesh.inside(host, container, "cat", "/sys/class/net/eth0/mtu"));
}

async function settled(bytes: number): Promise<void> {
  await eventually(`containers have ${bytes}`, 40_000, async () => {
    assert.equal(await mtuIn(A, "weba"), bytes);
    assert.equal(await mtuIn(B, "webb"), bytes);
  });
}

describe("an underlay whose MTU changes under running containers", () => {
  before(async () => {
    mesh = await MeshHosts.up("underlay", HOSTS);
    await mesh.web(A, "weba");
    await mesh.web(B, "webb");
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("is followed by both ends of every container, on every host, and by new ones", async () => {
    await settled(1450);
    const before = await mesh.docker(A, "inspect", "-f", "{{.State.StartedAt}}", "weba");
    const pings = mesh.tryInside(A, "weba", "ping", "-c", "200", "-i", "0.1", "-s", "1000", "webb");
    await cable(B, 1400);
    await settled(1350);
    await mesh.web(A, "webc");
    assert.equal(await mtuIn(A, "webc"), 1350);
    const { networks } = await mesh.json<{ networks: { mtu: number; mtuReason: string }[] }>(
      ...[A, "status", "networks"],
    );
    assert.deepEqual(networks[0], { ...networks[0], mtu: 1350, mtuReason: "eth0 of u2 has 1400" });
    await cable(B, 1500);
    await settled(1450);
    assert.equal(await mtuIn(A, "webc"), 1450);
    const { stdout } = await pings;
    assert.match(stdout, /200 packets transmitted, 200 packets received/);
    assert.equal(await mesh.docker(A, "inspect", "-f", "{{.State.StartedAt}}", "weba"), before);
  });
});
