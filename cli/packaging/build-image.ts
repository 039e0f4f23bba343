/**
 * Builds, offline and as root, what Docker can make a container image or a managed plugin of.
 * `npm run image` and `npm run plugin` call `build-image.ts image|plugin [DIRECTORY [BUNDLE]]`.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleVersion } from "./bundle-version.ts";
import { dockerfile, pluginConfig } from "./plugin-config.ts";
import { buildTsweaveRoot, rootLacks } from "./tsweave-root.ts";

const DIST = join(dirname(fileURLToPath(import.meta.url)), "../../dist");
const PLUGIN = "tsweave:latest";

/** A directory for `docker build`. */
function buildImage(directory: string, bundle: string): string[] {
  const root = join(directory, "rootfs");
  buildTsweaveRoot(root, bundle);
  execFileSync("tar", ["-C", root, "-cf", join(directory, "rootfs.tar"), "."]);
  rmSync(root, { recursive: true });
  const version = bundleVersion(bundle);
  writeFileSync(join(directory, "Dockerfile"), dockerfile(version));
  return [`docker build -t tsweave:${version} ${directory}`];
}

/** A directory for `docker plugin create`. */
function buildPlugin(directory: string, bundle: string): string[] {
  buildTsweaveRoot(join(directory, "rootfs"), bundle);
  const config = JSON.stringify(pluginConfig(PLUGIN), null, 2);
  writeFileSync(join(directory, "config.json"), `${config}\n`);
  return [
    "mkdir -p /run/netns /run/docker/netns /run/tsweave /var/lib/tsweave",
    `docker plugin create ${PLUGIN} ${directory}`,
    `docker plugin set ${PLUGIN} TSWEAVE_PEERS="HOST2 HOST3"`,
    `docker plugin enable ${PLUGIN}`,
  ];
}

const [, , kind, given, bundle = join(DIST, "tsweave.js")] = process.argv;
const makers: Readonly<Record<string, typeof buildImage>> = {
  image: buildImage,
  plugin: buildPlugin,
};
const make = makers[kind ?? ""];
const lack = rootLacks();
if (make === undefined || lack !== false) {
  process.stderr.write(`build-image: ${lack === false ? "say image or plugin" : lack}\n`);
  process.exitCode = 2;
} else {
  const directory = resolve(given ?? join(DIST, kind ?? ""));
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  process.stdout.write(`${make(directory, resolve(bundle)).join("\n")}\n`);
}
