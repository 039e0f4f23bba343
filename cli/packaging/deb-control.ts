/**
 * What the Debian package says of itself, and what it does when it comes and goes. Pure.
 *
 * Laws: installing starts nothing, and an upgrade leaves the running daemon alone: when containers
 * may be without a plugin for a moment is the administrator's choice. Removing takes back what is
 * in the kernel, unless containers still use it; what a peer remembers goes with purge only.
 */

/** Debian packages without which the program does not run. */
export const DEPENDS = ["nodejs", "iproute2", "nftables", "util-linux", "perl"];
const NODE_AT_LEAST = "nodejs (>= 20.19)";

/** The control file of a version. */
export function controlFile(version: string): string {
  return `Package: tsweave
Version: ${version}
Section: net
Priority: optional
Architecture: all
Maintainer: tsweave <root@localhost>
Depends: ${[NODE_AT_LEAST, ...DEPENDS.slice(1)].join(", ")}
Suggests: docker.io | docker-ce
Description: one flat network for the containers of many Docker hosts
 Every host runs a peer; the peers find one another by gossip, divide one subnet among
 themselves, and answer the names of all containers. There is no store and no manager.
`;
}

export const CONFFILES = "/etc/tsweave/config.json\n/etc/default/tsweave\n";

export const DEFAULTS = `# Every option of 'tsweave launch' as a variable, such as:
# TSWEAVE_PEERS="192.0.2.11 192.0.2.12"
# TSWEAVE_PASSWORD_FILE=/etc/tsweave/password
`;

/** Not enabled or started by itself: a peer that founds a mesh alone is rarely what is wanted. */
export const POSTINST = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
if [ "$1" = configure ] && [ -n "$2" ] && [ -S /run/tsweave/control.sock ]; then
  echo "tsweave: the daemon of version $2 runs on until 'systemctl restart tsweave'," \\
    "which costs containers no packet"
fi
`;

export const PRERM = `#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
if [ -d /run/systemd/system ]; then
  systemctl --quiet disable --now tsweave.service || true
fi
# Also a daemon that was launched by hand, and what is in the kernel.
tsweave reset --yes --keep-state || true
`;

export const POSTRM = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
if [ "$1" = purge ]; then rm -rf /var/lib/tsweave /etc/tsweave; fi
`;
