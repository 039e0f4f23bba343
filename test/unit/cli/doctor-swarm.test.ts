/** What doctor says of Docker Swarm on the same engine: only a VNI that both have is a trouble. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { swarmFindings } from "../../../cli/doctor/swarm.ts";

const OWN = {
  vxlanPort: 4789,
  networks: [
    { name: "tsweave", vni: 256 },
    { name: "blue", vni: 0x812345 },
  ],
};
const ACTIVE = { Swarm: { LocalNodeState: "active" } };

function overlay(name: string, vnis: string): object {
  const Options = { "com.docker.network.driver.overlay.vxlanid_list": vnis };
  return { Name: name, Driver: "overlay", Options };
}

test("a Swarm that is off, and answers of another shape, are nothing to speak of", () => {
  for (const info of [{ Swarm: { LocalNodeState: "inactive" } }, {}, { Swarm: 7 }, null, "x"]) {
    assert.deepEqual(swarmFindings(info, [overlay("theirs", "256")], OWN), []);
  }
});

test("one port for both is well, as long as the numbers differ", () => {
  const networks = [overlay("theirs", "4097,4098"), { Name: "bridge", Driver: "bridge" }, null];
  const [found, ...more] = swarmFindings(ACTIVE, networks, OWN);
  assert.deepEqual([found?.state, more], ["ok", []]);
  assert.match(found?.text ?? "", /share UDP 4789/);
});

test("a number that both have is said, with the names and the cure", () => {
  const networks = [overlay("theirs", "4097"), overlay("clash", "4098,256")];
  const found = swarmFindings(ACTIVE, networks, OWN);
  assert.deepEqual(
    found.map(({ state, text }) => [state, text.split(",")[0]]),
    [["fail", "Swarm's network clash and tsweave both have VNI 256"]],
  );
  assert.match(found[0]?.next ?? "", /docker network rm clash.*--vxlan-port/);
});

test("ports that differ keep them apart, whatever the numbers", () => {
  const info = { Swarm: { LocalNodeState: "active", Cluster: { DataPathPort: 7789 } } };
  const [found] = swarmFindings(info, [overlay("clash", "256")], OWN);
  assert.equal(found?.state, "ok");
  assert.match(found?.text ?? "", /UDP 7789.*4789/);
  const moved = { ...OWN, vxlanPort: 4790 };
  assert.equal(swarmFindings(ACTIVE, [overlay("clash", "256")], moved)[0]?.state, "ok");
});
