/** Docker Compose out of another Debian release: the machine's own may be too old, or none. */
import { join } from "node:path";
import { extracted } from "./debian-packages.ts";
import { run } from "./exec.ts";

export type Compose =
  | { readonly program: string; readonly version: string }
  | { readonly reason: string };

/** The program `docker-compose` of a Debian release such as `sid`, or why there is none. */
export async function compose(release: string): Promise<Compose> {
  try {
    const dir = await extracted(`compose-${release}`, release, ["docker-compose"]);
    const program = join(dir, "usr/libexec/docker/cli-plugins/docker-compose");
    const { stdout } = await run([program, "version", "--short"], { timeoutMs: 10_000 });
    return { program, version: stdout.trim() };
  } catch (error) {
    return { reason: `no docker-compose from Debian ${release}: ${String(error).split("\n")[0]}` };
  }
}
