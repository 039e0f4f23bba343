/**
 * The floors: the same entries by raw `ip -batch` and `bridge -batch` side by side, and by one
 * process an entry.
 */
import { run } from "../../lab/exec.ts";
import { remoteAt } from "./endpoints.ts";

/** A namespace with br0 and vxlan0 to be filled. */
export async function makeFloor(netns: string): Promise<void> {
  const script = `
    ip netns add ${netns}
    ip -n ${netns} link add br0 up type bridge
    ip -n ${netns} link add vxlan0 up master br0 type vxlan id 78 dstport 14790 \
      nolearning proxy l2miss l3miss`;
  await run(["sh", "-ec", script]);
}

export async function rawBatchMs(netns: string, endpoints: number): Promise<number> {
  const all = Array.from({ length: endpoints }, (_, at) => remoteAt(at));
  const neighbours = all.map(
    ({ ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev vxlan0 nud permanent\n`,
  );
  const forwards = all.map(
    ({ mac, vtep }) =>
      `fdb replace ${mac} dev vxlan0 dst ${vtep} self permanent\n` +
      `fdb replace ${mac} dev vxlan0 master static\n`,
  );
  const startMs = performance.now();
  await Promise.all([
    run(["ip", "-n", netns, "-batch", "-"], { input: neighbours.join("") }),
    run(["bridge", "-n", netns, "-batch", "-"], { input: forwards.join("") }),
  ]);
  return performance.now() - startMs;
}

/** Mean time of one entry in a process of its own. */
export async function processPerEntryMs(netns: string, entries: number): Promise<number> {
  const startMs = performance.now();
  for (let at = 0; at < entries; at++) {
    const { ip, mac } = remoteAt(at);
    const words = ["neigh", "replace", ip, "lladdr", mac, "dev", "vxlan0", "nud", "permanent"];
    await run(["ip", "-n", netns, ...words]);
  }
  return (performance.now() - startMs) / entries;
}
