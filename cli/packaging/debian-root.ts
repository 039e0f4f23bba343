/**
 * A clean Debian root, offline: the files of installed packages and of all they depend on, with
 * dpkg's own records of them, and nothing else of this machine. Images and test machines begin so.
 *
 * Law: files are hard links where they can be, so a root is never written to after it is built: it
 * is packed, or is the lower side of an overlay. What is not asked for is not there, so a package
 * that forgets a dependency fails.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

const ADMIN = "/var/lib/dpkg";
/** What dpkg itself leaves out with path-exclude: nothing runs from there. */
const LEFT_OUT = /^\/usr\/(include|share\/(doc|locale|man|info|lintian))\//;
/** Accounts and switches that packages made when they were installed. */
const MACHINE_FILES = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];
const FIELDS = ["Package", "Architecture", "db:Status-Abbrev", "Essential", "Provides"];
const RELATIONS = ["Pre-Depends", "Depends"];

interface Installed {
  readonly name: string;
  /** As dpkg names its files: `libc6:amd64`. */
  readonly key: string;
  readonly essential: boolean;
  /** Each a list of names, one of which is enough. */
  readonly needs: readonly (readonly string[])[];
}

/** Why no root of these packages can be built here, or false. */
export function debianLacks(packages: readonly string[]): string | false {
  const { status, stderr } = spawnSync("dpkg-query", ["-W", ...packages], { encoding: "utf8" });
  if (status === 0) return false;
  return `these packages are not installed here: ${stderr?.trim() || "no dpkg"}`;
}

export interface RootWish {
  readonly packages: readonly string[];
  /** Packages that are left out although others ask for them. */
  readonly without?: readonly string[];
  /** Paths that are left out. */
  readonly leftOut?: RegExp;
  /** Further directories of this machine. */
  readonly trees?: readonly string[];
}

/** Builds the root in the new directory `root`. Throws when a package is not installed here. */
export function buildDebianRoot(root: string, wish: RootWish): void {
  const { packages, without = [], leftOut = /^$/, trees = [] } = wish;
  const closure = closureOf(packages, new Set(without));
  mkdirSync(root, { recursive: true, mode: 0o755 });
  for (const entry of readdirSync("/", { withFileTypes: true })) {
    // /bin, /lib and the like lead into /usr.
    if (!entry.isSymbolicLink()) continue;
    const target = readlinkSync(`/${entry.name}`);
    mkdirSync(join(root, target), { recursive: true });
    symlinkSync(target, join(root, entry.name));
  }
  for (const { key } of closure) {
    const list = readFileSync(join(ADMIN, `info/${key}.list`), "utf8").split("\n");
    for (const path of list) {
      if (path !== "" && path !== "/." && !leftOut.test(path)) plant(root, path);
    }
  }
  for (const tree of trees) {
    for (const path of readdirSync(tree, { recursive: true, encoding: "utf8" })) {
      plant(root, join(tree, path));
    }
  }
  for (const path of MACHINE_FILES) copyFileSync(path, join(root, path));
  recordPackages(root, closure);
  linkAlternatives(root);
  for (const dir of ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/docker", "/mnt"]) {
    mkdirSync(join(root, dir), { recursive: true });
  }
  execFileSync("chroot", [root, "ldconfig"]);
}

/** Essential packages, `packages`, and all that these need. */
function closureOf(packages: readonly string[], without: ReadonlySet<string>): Installed[] {
  const all = installed();
  const closure = new Set<Installed>();
  const visit = (one: Installed): void => {
    if (closure.has(one) || without.has(one.name)) return;
    closure.add(one);
    for (const names of one.needs) {
      const choice = names.find((name) => all.has(name));
      if (choice === undefined) throw new Error(`${one.name} needs ${names.join(" or ")}`);
      for (const needed of all.get(choice) ?? []) visit(needed);
    }
  };
  for (const one of [...all.values()].flat()) if (one.essential) visit(one);
  for (const name of packages) {
    const found = all.get(name);
    if (found === undefined) throw new Error(`Debian's package ${name} is not installed here`);
    found.forEach(visit);
  }
  return [...closure];
}

/** Installed packages by their names and by what they provide. */
function installed(): Map<string, Installed[]> {
  const shown = (fields: readonly string[]) => fields.map((field) => `\${${field}}`);
  const format = `${shown(FIELDS).join("\\t")}\\t${shown(RELATIONS).join(", ")}\\n`;
  const stdout = execFileSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8" });
  const byName = new Map<string, Installed[]>();
  for (const line of stdout.split("\n")) {
    const [name = "", architecture, status, essential, provides = "", needs = ""] =
      line.split("\t");
    if (status?.startsWith("ii") !== true) continue;
    const qualified = `${name}:${architecture}`;
    const key = existsSync(join(ADMIN, `info/${qualified}.list`)) ? qualified : name;
    const one = { name, key, essential: essential === "yes", needs: relations(needs) };
    for (const word of [name, ...relations(provides).flat()]) {
      // A real package stands before those that provide its name.
      const others = byName.get(word) ?? [];
      byName.set(
        word,
        word === name ? [one] : others.some((o) => o.name === word) ? others : [one],
      );
    }
  }
  return byName;
}

/** `a (>= 1) | b:any, c` → [[a, b], [c]] */
function relations(text: string): string[][] {
  const groups = text.split(",").map((group) => group.split("|"));
  const bare = groups.map((group) => group.map((word) => word.trim().replace(/[ (:].*$/, "")));
  return bare.filter((group) => group.join("") !== "");
}

/** Puts one path of a package into the root, as it is on this machine. */
function plant(root: string, path: string): void {
  if (LEFT_OUT.test(path)) return;
  const target = join(root, path);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) return;
  if (stat.isDirectory()) mkdirSync(target, { recursive: true, mode: stat.mode & 0o7777 });
  else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(path), target);
  else if (stat.isFile()) linkOrCopy(path, target);
}

function linkOrCopy(path: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  try {
    linkSync(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(path, target);
  }
}

/** dpkg's database with these packages alone. */
function recordPackages(root: string, closure: readonly Installed[]): void {
  const admin = join(root, ADMIN);
  for (const dir of ["info", "updates", "triggers", "alternatives", "parts"]) {
    mkdirSync(join(admin, dir), { recursive: true });
  }
  const names = new Set(closure.map(({ name }) => name));
  const stanzas = readFileSync(join(ADMIN, "status"), "utf8").split("\n\n");
  const kept = stanzas.filter((text) => names.has(/^Package: (.*)$/m.exec(text)?.[1] ?? ""));
  writeFileSync(join(admin, "status"), `${kept.join("\n\n").trimEnd()}\n\n`);
  for (const file of ["available", "diversions", "statoverride"]) {
    writeFileSync(join(admin, file), "");
  }
  const keys = new Set(closure.map(({ key }) => key));
  for (const file of readdirSync(join(ADMIN, "info"))) {
    const key = file.slice(0, file.lastIndexOf("."));
    if (keys.has(key) || file === "format") {
      copyFileSync(join(ADMIN, "info", file), join(admin, "info", file));
    }
  }
}

/** The choices of update-alternatives whose targets are in the root. */
function linkAlternatives(root: string): void {
  for (const name of readdirSync(join(ADMIN, "alternatives"))) {
    const [, link = "", ...rest] = readFileSync(join(ADMIN, "alternatives", name), "utf8").split(
      "\n",
    );
    const slaves = rest.slice(0, rest.indexOf(""));
    const pairs: [string, string][] = [[name, link]];
    for (let at = 0; at + 1 < slaves.length; at += 2) {
      pairs.push([slaves[at] ?? "", slaves[at + 1] ?? ""]);
    }
    for (const [each, path] of pairs) {
      const chosen = readlinkOrNothing(join("/etc/alternatives", each));
      if (chosen === undefined || !existsSync(join(root, chosen))) continue;
      for (const [from, to] of [
        [join("/etc/alternatives", each), chosen],
        [path, join("/etc/alternatives", each)],
      ] as const) {
        const at = join(root, from);
        mkdirSync(dirname(at), { recursive: true });
        if (lstatSync(at, { throwIfNoEntry: false }) === undefined) symlinkSync(to, at);
      }
    }
  }
}

function readlinkOrNothing(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
    ? readlinkSync(path)
    : undefined;
}
