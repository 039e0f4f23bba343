/**
 * The root file system of the container image and of the managed plugin: the packages that the
 * Debian package depends on, and the program, from the files of this machine.
 */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { DEPENDS } from "./deb-control.ts";
import { buildDebianRoot, debianLacks } from "./debian-root.ts";
import { programFiles } from "./program-files.ts";

const PLACES = [
  ...["run/docker/plugins", "run/docker/netns", "run/netns", "run/tsweave", "run/propagated"],
  "var/lib/tsweave",
];

/** What packages ask for that nothing of tsweave's runs. */
const UNUSED = ["python3", "ca-certificates", "adduser", "systemd", "dbus", "debconf"];

/** For the managed plugin's start. */
const PACKAGES = [...DEPENDS, "mount"];

/** Why it cannot be built here, or false. */
export function rootLacks(): string | false {
  return debianLacks(PACKAGES);
}

/** Builds it in the new directory `root`; `bundle` is the program. */
export function buildTsweaveRoot(root: string, bundle: string): void {
  const leftOut = /^\/usr\/lib\/node_modules\//;
  buildDebianRoot(root, { packages: PACKAGES, without: UNUSED, leftOut });
  mkdirSync(join(root, "usr/lib/tsweave"), { recursive: true });
  for (const { name, path, mode } of programFiles(bundle)) {
    copyFileSync(path, join(root, "usr/lib/tsweave", name));
    chmodSync(join(root, "usr/lib/tsweave", name), mode);
  }
  symlinkSync("../lib/tsweave/tsweave.js", join(root, "usr/bin/tsweave"));
  for (const dir of PLACES) {
    mkdirSync(join(root, dir), { recursive: true });
  }
}
