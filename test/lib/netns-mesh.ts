/** A founded mesh of real daemons without engines, with a container attached on each host. */
import assert from "node:assert/strict";
import { eventually } from "./mesh-hosts.ts";
import type { NetnsDaemon, NetnsDaemons } from "./netns-daemons.ts";
import type { NetnsLab } from "./netns-hosts.ts";

const FOUNDED_MS = 120_000;

export interface AttachedContainer {
  readonly netns: string;
  readonly ip: string;
  readonly mac: string;
}

/** On the hosts of an open lab, each naming all; daemons `h1`, containers `c1` and so on. */
export async function foundedMesh(
  lab: NetnsLab,
  daemons: NetnsDaemons,
  wish: { readonly dns: boolean; readonly gateway?: boolean } = { dns: false },
): Promise<{ readonly all: NetnsDaemon[]; readonly containers: AttachedContainer[] }> {
  const peers = lab.hosts.map(({ vtep }) => vtep);
  const all = lab.hosts.map((host, at) => daemons.start(host, `h${at + 1}`, peers));
  await eventually("founded", FOUNDED_MS, async () => {
    for (const { client, name } of all) {
      const { ipam, mesh, health } = await client.status();
      const isWhole = ipam.founded && mesh.alive === all.length;
      assert.ok(isWhole, `${name}: ${ipam.text} ${JSON.stringify(health.problems)}`);
    }
  });
  const containers: AttachedContainer[] = [];
  for (const [at, { client }] of all.entries()) {
    const netns = await lab.container(`c${at + 1}`);
    const { ip, mac } = await client.attach({ ...wish, target: netns, names: [`c${at + 1}`] });
    containers.push({ netns, ip, mac });
  }
  return { all, containers };
}
