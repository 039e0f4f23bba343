/**
 * Builds tsweave_VERSION_all.deb from a built program, without root: program, unit, manual page,
 * completions, configuration. `npm run deb` runs the build first and puts it into dist.
 *
 * Usage: build-deb.ts [DIRECTORY [BUNDLE]]
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describedCommands } from "../commands/described.ts";
import { COMMANDS } from "../commands/table.ts";
import { completionScript } from "../completion/script.ts";
import { bundleVersion } from "./bundle-version.ts";
import { CONFFILES, controlFile, DEFAULTS, POSTINST, POSTRM, PRERM } from "./deb-control.ts";
import { manPage } from "./man-page.ts";
import { programFiles } from "./program-files.ts";
import { serviceUnit } from "./service-unit.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PROGRAM = "/usr/bin/tsweave";

interface PackedFile {
  readonly path: string;
  readonly content: string | Buffer;
  readonly mode?: number;
}

/** Builds the package of `bundle` into `directory`; resolves with its path. */
async function buildDeb(directory: string, bundle: string): Promise<string> {
  const version = bundleVersion(bundle);
  const tree = mkdtempSync(join(tmpdir(), "tsweave-deb-"));
  try {
    for (const { path, content, mode = 0o644 } of await packedFiles(bundle, version)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true, mode: 0o755 });
      writeFileSync(join(tree, path), content, { mode });
    }
    mkdirSync(join(tree, "usr/bin"), { recursive: true });
    symlinkSync("../lib/tsweave/tsweave.js", join(tree, PROGRAM));
    execFileSync("chmod", ["-R", "u=rwX,go=rX", tree]);
    const deb = join(directory, `tsweave_${version}_all.deb`);
    execFileSync("dpkg-deb", ["--root-owner-group", "--build", tree, deb], { stdio: "ignore" });
    return deb;
  } finally {
    rmSync(tree, { recursive: true });
  }
}

async function packedFiles(bundle: string, version: string): Promise<PackedFile[]> {
  const commands = await describedCommands(COMMANDS);
  const script = (shell: "bash" | "zsh" | "fish") => completionScript(shell, commands);
  const notices = readFileSync(join(dirname(bundle), "third-party.txt"), "utf8");
  const licence = `${readFileSync(join(ROOT, "LICENSE"), "utf8")}\n${notices}`;
  return [
    { path: "DEBIAN/control", content: controlFile(version) },
    { path: "DEBIAN/conffiles", content: CONFFILES },
    { path: "DEBIAN/postinst", content: POSTINST, mode: 0o755 },
    { path: "DEBIAN/prerm", content: PRERM, mode: 0o755 },
    { path: "DEBIAN/postrm", content: POSTRM, mode: 0o755 },
    ...programFiles(bundle).map(({ name, path, mode }) => ({
      path: `usr/lib/tsweave/${name}`,
      content: readFileSync(path),
      mode,
    })),
    { path: "lib/systemd/system/tsweave.service", content: serviceUnit(PROGRAM) },
    { path: "usr/share/man/man1/tsweave.1.gz", content: gzipSync(manPage(commands)) },
    { path: "usr/share/bash-completion/completions/tsweave", content: script("bash") },
    { path: "usr/share/zsh/vendor-completions/_tsweave", content: script("zsh") },
    { path: "usr/share/fish/vendor_completions.d/tsweave.fish", content: script("fish") },
    { path: "usr/share/doc/tsweave/copyright", content: licence },
    ...["prometheus-rules.yml", "grafana-dashboard.json"].map((name) => ({
      path: `usr/share/doc/tsweave/${name}`,
      content: readFileSync(join(ROOT, "cli/packaging", name)),
    })),
    { path: "etc/tsweave/config.json", content: '{\n  "peers": []\n}\n' },
    { path: "etc/default/tsweave", content: DEFAULTS },
  ];
}

const [, , directory = join(ROOT, "dist"), bundle = join(ROOT, "dist/tsweave.js")] = process.argv;
process.stdout.write(`${await buildDeb(resolve(directory), resolve(bundle))}\n`);
