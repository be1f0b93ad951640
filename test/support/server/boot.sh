#!/bin/bash
# Starts systemd as process 1 of a machine: in namespaces of its own, over a root file system that stays as it is.
#   boot.sh LOWER DIRECTORY REPOSITORY APT [HIERARCHY…]
# LOWER: the root file system. DIRECTORY: the machine's own, which keeps what it writes. REPOSITORY: the machine's own, at
# /opt/acme; `none`: nothing is. APT: packages that are downloaded already. HIERARCHY: of control groups; none: the second version.
set -euo pipefail
lower=$1 directory=$2 repository=$3 apt=$4
root=$directory/root
mkdir -p "$root" "$directory"/{upper,work,apt.upper,apt.work,docker,containerd,fakes}
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" "$root"
mkdir -p "$root/var/cache/apt/archives" "$root"/var/lib/{docker,containerd}
if [ "$repository" != none ]; then
    mkdir -p "$root/opt/acme"
    mount --bind "$repository" "$root/opt/acme"
fi
mount -t overlay overlay -o "lowerdir=$apt,upperdir=$directory/apt.upper,workdir=$directory/apt.work" "$root/var/cache/apt/archives"
# The layers of images are on no overlay: an overlay makes no whiteouts (EPERM), which are what deletes a file of a layer below.
# Docker keeps them in the first, and from version 29 on in the second.
for name in docker containerd; do
    mount --bind "$directory/$name" "$root/var/lib/$name"
done
mount -t proc proc "$root/proc"
# Settings that are the whole kernel's are files of the machine's; those of the network are really its own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind /proc/sys/net "$root/proc/sys/net"
for name in vm/overcommit_memory vm/swappiness; do
    fake=$directory/fakes/${name##*/}
    cat "/proc/sys/$name" >"$fake"
    mount --bind "$fake" "$root/proc/sys/$name"
done
mount -t sysfs -o ro sysfs "$root/sys"
# Controllers of the first version, where the tests' machine has these: the second version has none there.
if [ $# -gt 4 ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for name in "${@:5}"; do
        mkdir "$root/sys/fs/cgroup/$name"
        case $name in
            unified) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/$name" ;;
            systemd) mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/$name" ;;
            *) mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name" ;;
        esac
    done
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    mknod -m 666 "$root/dev/$device" c $(stat -c '%Hr %Lr' "/dev/$device")
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
hostname server
cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init --log-target=console
