#!/bin/sh
# A machine that boots: from a clean root to systemd as its process 1, in namespaces of its own.
# kill -9 of it is the machine's power failure.
# Usage: machine-init.sh enter CGROUP HOSTNAME ROOT DISK RECORD
# Runs itself again as `machine-init.sh boot …` inside the namespaces.
set -eu
mode=$1
shift

# The trees of cgroups: mount point, type, options.
cgroup_trees() {
  while read -r _ point type options _; do
    case $type in cgroup|cgroup2) echo "$point $type $options" ;; esac
  done < /proc/self/mounts
}

if [ "$mode" = enter ]; then
  # A cgroup namespace begins at the cgroup of its maker, so what the machine makes is below it.
  cgroup_trees | while read -r point type _; do
    group=$point$1
    mkdir -p "$group"
    if [ -e "$group/cpuset.cpus" ] && [ "$type" = cgroup ]; then
      cat "$point/cpuset.cpus" > "$group/cpuset.cpus"
      cat "$point/cpuset.mems" > "$group/cpuset.mems"
    fi
    echo $$ > "$group/cgroup.procs"
  done
  exec unshare --net --mount --uts --ipc --pid --cgroup --fork --kill-child sh "$0" boot "$@"
fi

group=$1 name=$2 base=$3 disk=$4 record=$5

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
record

echo "$name" > /proc/sys/kernel/hostname
root=$disk/root
mkdir -p "$disk/upper" "$disk/work" "$disk/docker" "$root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$disk/upper,workdir=$disk/work" "$root"
# An overlay cannot be the upper side of another one, as dockerd would have it.
mount --bind "$disk/docker" "$root/var/lib/docker"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"

if cgroup_trees | grep -q '^/sys/fs/cgroup cgroup2'; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  cgroup_trees | while read -r point type options; do
    mkdir "$root$point"
    # What is left of the options names the controllers: rw,relatime,memory.
    controllers=$(echo "$options" | tr , '\n' | grep -v -e '^rw$' -e '^relatime$' -e '^no' || true)
    controllers=$(echo "$controllers" | paste -s -d ,)
    mount -t "$type" -o "${controllers:-rw}" "$type" "$root$point"
  done
fi

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
node() { mknod -m 666 "$root/dev/$1" c "$2" "$3"; }
node null 1 3; node zero 1 5; node full 1 7; node random 1 8; node urandom 1 9; node tty 5 0
node console 1 3
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for pair in stdin:0 stdout:1 stderr:2; do ln -s "fd/${pair#*:}" "$root/dev/${pair%:*}"; done

cd "$root"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
echo ready
exec >&2
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  /lib/systemd/systemd --log-target=journal --show-status=no
