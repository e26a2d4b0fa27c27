#!/bin/sh
# Installs Debian 12, 13 and sid in directories, runs `make demo` and `make test`
# of the README in each, as root and as a user, and prints a table.
#
#   tests/platforms.sh DIRECTORY [SUITE...]    as root; needs debootstrap and 4 GB for each suite
#
# DIRECTORY/SUITE.log and SUITE.USER.log have all that was printed. A suite that is
# there is used again.
directory=${1:?a directory to install into} || exit
shift
cd "$(dirname "$0")/.." || exit
[ $# -gt 0 ] || set -- bookworm trixie sid
mkdir -p "$directory" && directory=$(realpath "$directory") || exit

# Runs a command in the root $1: pivot_root(2), because in a chroot the kernel
# refuses user namespaces.
enter() {
  unshare --mount --pid --ipc --fork --kill-child --propagation private sh -c '
    mount --bind "$1" "$1" && cd "$1" || exit
    mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev &&
      mount -t tmpfs -o mode=1777 shm dev/shm && mount -t tmpfs -o mode=1777 tmp tmp || exit
    mkdir -p old && pivot_root . old && cd / && umount --lazy old || exit
    shift
    # No exec: as PID 1, make could not end itself by Ctrl-C, and would try for ever.
    env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
    exit' sh "$@" </dev/null
}

# The last line of the log that has this text, without what is before it.
last() { grep -o "$1" "$log" | tail -n 1 | grep . || echo failed; }

row='%-9s %-7s %-8s %-7s %-32s %s\n'
printf "$row" suite g++ Bazel user 'make demo' 'make test'
for suite; do
  root=$directory/$suite
  log=$root.log
  : >"$log"
  [ -x "$root/usr/bin/apt-get" ] ||
    debootstrap --variant=minbase "$suite" "$root" >>"$log" 2>&1 || { echo "$suite: see $log"; continue; }
  cp /etc/resolv.conf "$root/etc/"
  # A mirror may be older than its signature lives.
  echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/platforms"
  enter "$root" sh -c '
    apt-get -qq update && apt-get -qq install --no-install-recommends -y git make
    id learner || useradd --create-home learner' >>"$log" 2>&1
  # What an earlier run left there, Bazel gives to its owner alone to execute.
  rm -rf "$root/var/cache/bazel"
  mkdir "$root/var/cache/bazel"
  for user in root learner; do
    log=$root.$user.log
    : >"$log"
    home=$(enter "$root" sh -c "echo ~$user")
    # The user's build takes what root's has compiled, but not what its tests found.
    printf '%s\n' 'build --disk_cache=/var/cache/bazel' 'test --nocache_test_results' >"$root$home/.bazelrc"
    rm -rf "$root$home/tree"
    mkdir "$root$home/tree"
    git ls-files | tar --create --files-from=- | tar --extract --directory="$root$home/tree"
    enter "$root" chown -R "$user:" "$home/tree" "$home/.bazelrc" /var/cache/bazel
    for target in demo test; do
      enter "$root" setpriv --reuid="$user" --regid="$user" --init-groups \
        env HOME="$home" USER="$user" make --directory="$home/tree" "$target" >>"$log" 2>&1
    done
    printf "$row" "$suite" "$(enter "$root" g++ -dumpfullversion 2>&1)" \
      "$(enter "$root" dpkg-query --show bazel-bootstrap | cut -f 2 | cut -d + -f 1)" "$user" \
      "$(last '[0-9]* ran, .* failed')" "$(last '^[0-9]* passed.*')"
  done
done
