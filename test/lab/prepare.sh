#!/bin/sh
# Makes a fresh clone ready for `npm run demo` and `npm test`: root, Node, npm packages, build,
# Debian packages. Says on stderr what it does, nothing when nothing is missing. Keeps the law that
# a Docker Engine of the machine is never stopped, started or asked.
set -eu
cd "$(dirname "$0")/../.."

say() { echo "prepare: $*" >&2; }
die() { say "$*"; exit 1; }

# Runs a command quietly; its output is shown only if it fails.
quietly() {
  if output=$("$@" 2>&1); then return 0; fi
  printf '%s\n' "$output" >&2
  return 1
}

check_machine() {
  [ "$(id -u)" = 0 ] || die "root is needed to make namespaces; run it with sudo"
  command -v node > /dev/null || die "node is missing; install Node.js 20.19 or later"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    die "Node.js $(node --version) is too old; install 20.19 or later"
}

# The Debian package of a command, or nothing for a command that is present.
package_for() {
  if [ "$1" = busybox ] && command -v busybox > /dev/null; then
    # The containers of the demo have no libraries, so a dynamic busybox does not do.
    ! grep -q /ld-linux "$(command -v busybox)" || echo busybox-static
    return
  fi
  ! command -v "$1" > /dev/null || return 0
  case $1 in
    ip|bridge|tc) echo iproute2 ;;
    nft) echo nftables ;;
    iptables) echo iptables ;;
    docker|dockerd|containerd|runc) echo docker.io ;;
    busybox) echo busybox-static ;;
    tcpdump) echo tcpdump ;;
    nsenter|unshare|mount|setsid) echo util-linux ;;
    ps|pidof) echo procps ;;
    modprobe) echo kmod ;;
    tar) echo tar ;;
  esac
}

missing_packages() {
  commands="ip bridge tc nft iptables dockerd docker containerd runc busybox tcpdump"
  commands="$commands nsenter unshare mount setsid ps tar"
  # A kernel without modules has nothing to load.
  [ ! -e /proc/modules ] || commands="$commands modprobe"
  for name in $commands; do package_for "$name"; done | sort -u | tr '\n' ' '
}

apt_install() {
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive quietly apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $1
}

install_packages() {
  packages=$(missing_packages)
  [ -n "$packages" ] || return 0
  command -v apt-get > /dev/null || die "missing: ${packages}(no apt-get here to install them)"
  say "installing ${packages% }"
  # Only stale or absent package lists make this simulation fail.
  # shellcheck disable=SC2086
  if ! apt-get install -s -q $packages > /dev/null 2>&1 || ! (apt_install "$packages" 2> /dev/null)
  then
    say "updating the package lists"
    quietly apt-get update -q || die "apt-get update failed"
    apt_install "$packages" || die "could not install ${packages% }"
  fi
  # From Debian 13 on, docker.io no longer brings the command line.
  if ! command -v docker > /dev/null; then apt_install docker-cli || true; fi
  packages=$(missing_packages)
  [ -z "$packages" ] || die "still missing after installing: ${packages% }"
}

install_npm() {
  stamp=node_modules/.package-lock.json
  if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
    say "installing npm packages and building (npm ci)"
    quietly npm ci --no-audit --no-fund || die "npm ci failed"
    touch "$stamp"
  fi
  newer=$(built_from | head -n 1)
  if [ ! -e dist/tsweave.js ] || [ -n "$newer" ]; then
    say "building dist/tsweave.js"
    quietly npm run build || die "npm run build failed"
  fi
}

# Sources newer than what was built from them.
built_from() {
  [ -e dist/tsweave.js ] || return 0
  find mesh overlay ipalloc dns cli package.json test/lib/build.mjs -type f -newer dist/tsweave.js
}

check_machine
install_packages
install_npm
