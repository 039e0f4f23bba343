/**
 * The root file system of the container image and of the managed plugin: the packages that the
 * Debian package depends on, and the program, from the files of this machine.
 */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { DEPENDS } from "./deb-control.ts";
import { buildDebianRoot, debianLacks } from "./debian-root.ts";

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
  copyFileSync(bundle, join(root, "usr/lib/tsweave/tsweave.mjs"));
  chmodSync(join(root, "usr/lib/tsweave/tsweave.mjs"), 0o755);
  symlinkSync("../lib/tsweave/tsweave.mjs", join(root, "usr/bin/tsweave"));
  for (const dir of PLACES) {
    mkdirSync(join(root, dir), { recursive: true });
  }
}
