/** Waits for a promise in virtual time. */
import type { SimMesh } from "./sim-mesh.ts";

/** The outcome of a promise while virtual time runs. */
export async function within<T>(mesh: SimMesh, work: Promise<T>, ms = 20_000): Promise<T> {
  let outcome: { value: T } | { error: unknown } | undefined;
  work.then(
    (value) => {
      outcome = { value };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  for (let passed = 0; outcome === undefined && passed <= ms; passed += 20) await mesh.run(20);
  if (outcome === undefined) throw new Error(`nothing after ${ms} ms`);
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}
