/**
 * Builds dist/tsweave_VERSION_all.deb from the bundle, without root: program, unit, manual page,
 * completions, configuration. `npm run deb` runs the build first.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describedCommands } from "../commands/described.ts";
import { COMMANDS } from "../commands/table.ts";
import { completionScript } from "../completion/script.ts";
import { VERSION } from "../version.ts";
import { manPage } from "./man-page.ts";
import { serviceUnit } from "./service-unit.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PROGRAM = "/usr/bin/tsweave";

const CONTROL = `Package: tsweave
Version: ${VERSION}
Section: net
Priority: optional
Architecture: all
Maintainer: tsweave <root@localhost>
Depends: nodejs (>= 20.19), iproute2, nftables, util-linux, perl
Suggests: docker.io | docker-ce
Description: one flat network for the containers of many Docker hosts
 Every host runs a peer; the peers find one another by gossip, divide one subnet among
 themselves, and answer the names of all containers. There is no store and no manager.
`;

/** Not enabled or started by itself: a peer that founds a mesh alone is rarely what is wanted. */
const POSTINST = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
`;
/** An upgrade leaves the old daemon running until the administrator restarts it. */
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop tsweave.service || true; fi
`;
const POSTRM = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
if [ "$1" = purge ]; then rm -rf /var/lib/tsweave /etc/tsweave; fi
`;

const DEFAULTS = `# Every option of 'tsweave launch' as a variable, such as:
# TSWEAVE_PEERS="192.0.2.11 192.0.2.12"
# TSWEAVE_PASSWORD_FILE=/etc/tsweave/password
`;

interface PackedFile {
  readonly path: string;
  readonly content: string | Buffer;
  readonly mode?: number;
}

/** Builds the package into `directory`; resolves with its path. */
async function buildDeb(directory: string): Promise<string> {
  const tree = mkdtempSync(join(tmpdir(), "tsweave-deb-"));
  try {
    for (const { path, content, mode = 0o644 } of await packedFiles()) {
      mkdirSync(dirname(join(tree, path)), { recursive: true, mode: 0o755 });
      writeFileSync(join(tree, path), content, { mode });
    }
    mkdirSync(join(tree, "usr/bin"), { recursive: true });
    symlinkSync("../lib/tsweave/tsweave.mjs", join(tree, PROGRAM));
    execFileSync("chmod", ["-R", "u=rwX,go=rX", tree]);
    const deb = join(directory, `tsweave_${VERSION}_all.deb`);
    execFileSync("dpkg-deb", ["--root-owner-group", "--build", tree, deb], { stdio: "ignore" });
    return deb;
  } finally {
    rmSync(tree, { recursive: true });
  }
}

async function packedFiles(): Promise<PackedFile[]> {
  const commands = await describedCommands(COMMANDS);
  const script = (shell: "bash" | "zsh" | "fish") => completionScript(shell, commands);
  return [
    { path: "DEBIAN/control", content: CONTROL },
    { path: "DEBIAN/conffiles", content: "/etc/tsweave/config.json\n/etc/default/tsweave\n" },
    { path: "DEBIAN/postinst", content: POSTINST, mode: 0o755 },
    { path: "DEBIAN/prerm", content: PRERM, mode: 0o755 },
    { path: "DEBIAN/postrm", content: POSTRM, mode: 0o755 },
    {
      path: "usr/lib/tsweave/tsweave.mjs",
      content: readFileSync(join(ROOT, "dist/tsweave.js")),
      mode: 0o755,
    },
    { path: "lib/systemd/system/tsweave.service", content: serviceUnit(PROGRAM) },
    { path: "usr/share/man/man1/tsweave.1.gz", content: gzipSync(manPage(commands)) },
    { path: "usr/share/bash-completion/completions/tsweave", content: script("bash") },
    { path: "usr/share/zsh/vendor-completions/_tsweave", content: script("zsh") },
    { path: "usr/share/fish/vendor_completions.d/tsweave.fish", content: script("fish") },
    { path: "usr/share/doc/tsweave/copyright", content: readFileSync(join(ROOT, "LICENSE")) },
    ...["prometheus-rules.yml", "grafana-dashboard.json"].map((name) => ({
      path: `usr/share/doc/tsweave/${name}`,
      content: readFileSync(join(ROOT, "cli/packaging", name)),
    })),
    { path: "etc/tsweave/config.json", content: '{\n  "peers": []\n}\n' },
    { path: "etc/default/tsweave", content: DEFAULTS },
  ];
}

const [, , directory = join(ROOT, "dist")] = process.argv;
process.stdout.write(`${await buildDeb(directory)}\n`);
