/**
 * Programs of another Debian release beside the machine's own: packages downloaded and extracted,
 * never installed. The machine's C library serves them.
 *
 * Law: apt's own state is not touched; what cannot be had is said, not papered over.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./exec.ts";

const CACHE = "/var/cache/tsweave-lab";

/**
 * The folder `name` in the cache with the root of these packages of a release such as `sid`, from
 * the cache or fetched now. Throws when they cannot be had.
 */
export async function extracted(
  name: string,
  release: string,
  packages: readonly string[],
): Promise<string> {
  const dir = join(CACHE, name);
  if (!existsSync(dir)) await fetchInto(dir, release, packages);
  return dir;
}

async function fetchInto(dir: string, release: string, packages: readonly string[]): Promise<void> {
  const work = join(CACHE, `fetch-${process.pid}`);
  try {
    for (const folder of ["lists/partial", "archives/partial", "root"]) {
      mkdirSync(join(work, folder), { recursive: true });
    }
    const sources = join(work, "sources.list");
    writeFileSync(sources, `deb [trusted=yes] ${await debianSite()} ${release} main\n`);
    const apt = [
      ...["-o", `Dir::Etc::sourcelist=${sources}`, "-o", "Dir::Etc::sourceparts=/dev/null"],
      ...["-o", `Dir::State::lists=${join(work, "lists")}`, "-o", `Dir::Cache=${work}`],
    ];
    await run(["apt-get", ...apt, "update", "-q"], { timeoutMs: 120_000 });
    const names = packages.map((name) => `${name}/${release}`);
    const download = ["apt-get", ...apt, "download", "-q", ...names];
    await run(["sh", "-c", 'cd "$0" && exec "$@"', work, ...download], { timeoutMs: 180_000 });
    for (const file of readdirSync(work).filter((name) => name.endsWith(".deb"))) {
      await run(["dpkg-deb", "-x", join(work, file), join(work, "root")], { timeoutMs: 60_000 });
    }
    renameSync(join(work, "root"), dir);
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
