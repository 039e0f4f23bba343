/**
 * A newer Docker Engine beside the machine's own: Debian's packages of another release, downloaded
 * and extracted, never installed. The machine's C library and runc serve it.
 *
 * Law: apt's own state is not touched; what cannot be had is said, not papered over.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./exec.ts";

const CACHE = "/var/cache/tsweave-lab";
const PACKAGES = ["docker.io", "containerd"] as const;

export type NewerEngine =
  | { readonly engineDir: string; readonly version: string }
  | { readonly reason: string };

/** The engine of a Debian release such as `sid`, from the cache or fetched now. */
export async function newerEngine(release: string): Promise<NewerEngine> {
  const engineDir = join(CACHE, `engine-${release}`);
  try {
    if (!existsSync(engineDir)) await fetchInto(engineDir, release);
    const dockerd = join(engineDir, "usr/sbin/dockerd");
    const { stdout } = await run([dockerd, "--version"], { timeoutMs: 10_000 });
    return { engineDir, version: /version ([^\s,]+)/.exec(stdout)?.[1] ?? stdout.trim() };
  } catch (error) {
    return { reason: `no engine from Debian ${release}: ${String(error).split("\n")[0]}` };
  }
}

async function fetchInto(engineDir: string, release: string): Promise<void> {
  const work = join(CACHE, `fetch-${process.pid}`);
  try {
    for (const dir of ["lists/partial", "archives/partial", "root"]) {
      mkdirSync(join(work, dir), { recursive: true });
    }
    const sources = join(work, "sources.list");
    writeFileSync(sources, `deb [trusted=yes] ${await debianSite()} ${release} main\n`);
    const apt = [
      ...["-o", `Dir::Etc::sourcelist=${sources}`, "-o", "Dir::Etc::sourceparts=/dev/null"],
      ...["-o", `Dir::State::lists=${join(work, "lists")}`, "-o", `Dir::Cache=${work}`],
    ];
    await run(["apt-get", ...apt, "update", "-q"], { timeoutMs: 120_000 });
    const names = PACKAGES.map((name) => `${name}/${release}`);
    const download = ["apt-get", ...apt, "download", "-q", ...names];
    await run(["sh", "-c", 'cd "$0" && exec "$@"', work, ...download], { timeoutMs: 180_000 });
    for (const file of readdirSync(work).filter((name) => name.endsWith(".deb"))) {
      await run(["dpkg-deb", "-x", join(work, file), join(work, "root")], { timeoutMs: 60_000 });
    }
    renameSync(join(work, "root"), engineDir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where this machine gets Debian's packages from. */
async function debianSite(): Promise<string> {
  const format = "$(SITE) $(LABEL) $(CODENAME)";
  const argv = ["apt-get", "indextargets", "--format", format, "Created-By: Packages"];
  const { stdout } = await run(argv, { timeoutMs: 30_000 });
  const lines = stdout.split("\n").map((line) => line.split(" "));
  const site = lines.find(([, label, codename]) => label === "Debian" && !codename?.includes("-"));
  if (site?.[0] === undefined) throw new Error("apt has no Debian source with package lists");
  return site[0];
}
