/** Hosts that have named one another, founded, and opened one pool: where most scenes begin. */
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

/** `launched` of `hosts`, the first ones, are up; the others are there to come later. */
export async function foundedMesh(
  pool: string,
  hosts: number,
  { launched = hosts, seed = 1 }: { readonly launched?: number; readonly seed?: number } = {},
): Promise<SimMesh> {
  const mesh = new SimMesh(seed, hosts);
  await found(mesh, pool, launched);
  return mesh;
}

/** The same on a mesh that somebody watches already. */
export async function found(mesh: SimMesh, pool: string, launched: number): Promise<void> {
  const all = mesh.hosts.slice(0, launched).map(({ index }) => index);
  for (const index of all) {
    await mesh.launch(
      index,
      all.filter((other) => other !== index),
    );
  }
  await mesh.run(4000);
  for (const index of all) await within(mesh, mesh.ipalloc(index).openPool(pool));
}
