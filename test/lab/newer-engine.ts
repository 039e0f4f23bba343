/**
 * A newer Docker Engine beside the machine's own, out of another Debian release. The machine's runc
 * serves it.
 */
import { join } from "node:path";
import { extracted } from "./debian-packages.ts";
import { run } from "./exec.ts";

export type NewerEngine =
  | { readonly engineDir: string; readonly version: string }
  | { readonly reason: string };

/** The engine of a Debian release such as `sid`, or why there is none. */
export async function newerEngine(release: string): Promise<NewerEngine> {
  try {
    const packages = ["docker.io", "containerd"];
    const engineDir = await extracted(`engine-${release}`, release, packages);
    const dockerd = join(engineDir, "usr/sbin/dockerd");
    const { stdout } = await run([dockerd, "--version"], { timeoutMs: 10_000 });
    return { engineDir, version: /version ([^\s,]+)/.exec(stdout)?.[1] ?? stdout.trim() };
  } catch (error) {
    return { reason: `no engine from Debian ${release}: ${String(error).split("\n")[0]}` };
  }
}
