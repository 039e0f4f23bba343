#!/bin/sh
# Process 1 of a lab host: gives the fresh namespaces their own /run, /proc, /sys, disk and names,
# says "ready", then reaps orphans for ever. kill -9 of it is the host's power failure.
# Usage: host-init.sh HOSTNAME DISK RECORD DIRECTORY…
# (inside unshare --net --mount --uts --ipc --pid --fork)
set -eu
name=$1
disk=$2

# Before /proc is remounted it still shows the process numbers of the machine.
record() {
  read -r stat < /proc/self/stat
  read -r boot < /proc/sys/kernel/random/boot_id
  pid=${stat%% *}
  # shellcheck disable=SC2086 # split into the fields of proc(5); start time is the 22nd
  set -- ${stat##*) }
  shift 19
  echo "$pid $1 $boot" > "$record"
}
record=$3
record
shift 3

echo "$name" > /proc/sys/kernel/hostname
mount -t proc proc /proc

# A sysfs mounted in this network namespace shows its devices; the cgroup tree moves over.
mkdir -p "$disk/cgroup"
mount --rbind /sys/fs/cgroup "$disk/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$disk/cgroup" /sys/fs/cgroup
umount -R "$disk/cgroup"

# The files of /etc are resolved before /run vanishes: resolv.conf may be a link into it.
resolv=$(readlink -f /etc/resolv.conf)
# What the machine has mounted there must not be held by this host.
umount -R -l /run/netns 2> /dev/null || true
umount -R -l /run 2> /dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
case $resolv in
  /run/*) mkdir -p "$(dirname "$resolv")"; : > "$resolv" ;;
esac
mkdir -p /run/lock /run/netns
mount --bind "$disk/etc/resolv.conf" "$resolv"
mount --bind "$disk/etc/hosts" /etc/hosts
mount --bind "$disk/etc/hostname" /etc/hostname

# Namespaces named by `ip netns add` must reach every mount namespace made later in this host.
mount --bind /run/netns /run/netns
mount --make-shared /run/netns

for dir in "$@"; do
  mount --bind "$disk$dir" "$dir"
done

echo ready
exec > /dev/null 2>&1
trap '' HUP INT TERM QUIT
while :; do
  sleep 1000000 &
  wait
done
