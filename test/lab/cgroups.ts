/**
 * The cgroups of a host's containers, which no namespace hides: named after lab and host, removed
 * with the host's power. Works on cgroup v1 (one tree per controller) and v2 (one tree).
 */
import { readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "./exec.ts";

/** The cgroup below which an engine puts its containers (dockerd --cgroup-parent). */
export function cgroupParent(lab: string, host: string): string {
  return `/tsweave-lab-${lab}-${host}`;
}

/** Removes the cgroups of a host whose processes are dead. None is fine. */
export async function removeCgroups(lab: string, host: string): Promise<void> {
  for (const root of cgroupRoots()) {
    const dir = join(root, cgroupParent(lab, host));
    // The kernel lets go of a killed process's cgroup a moment after the process.
    await until(`cgroup ${dir} to be empty`, () => removeTree(dir), { everyMs: 20 });
  }
}

/** Mount points of every cgroup tree of this machine. */
function cgroupRoots(): string[] {
  const roots: string[] = [];
  for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n")) {
    const [, point = "", type] = line.split(" ");
    if (type === "cgroup" || type === "cgroup2") roots.push(point);
  }
  return roots;
}

/** rmdir from the leaves up. False while something in it is busy. */
function removeTree(dir: string): boolean {
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory() && !removeTree(join(dir, entry.name))) return false;
    }
    rmdirSync(dir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EBUSY") return false;
    if (code !== "ENOENT") throw error;
  }
  return true;
}
