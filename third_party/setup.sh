#!/bin/sh
# Installs what this machine lacks, and says what: with `build`, to build and run
# the lessons; with `test` or `lint`, for those targets of the Makefile. With
# `bazel` it prints the Bazel to call, and fails if there is none.
cd "$(dirname "$0")/.." || exit

# Bazel 7 and later get the libraries from the Bazel Central Registry. The older
# one of Debian 12, 13 and Ubuntu gets them from Debian's packages.
is_debians() {
  dpkg-query --search "$(command -v "$1")" 2>/dev/null | grep -q '^bazel-bootstrap'
}
find_bazel() {
  for name in bazel bazelisk; do
    version=$("$name" --version 2>/dev/null) || continue
    case $version in
      *\ [0-6].*) continue ;;
      *no_version*) is_debians "$name" || continue ;;
    esac
    echo "$name"
    return
  done
  return 1
}

# For each package manager: the packages, how to list those that are missing, and
# how to install them.
apt_build='g++ hostname iproute2 libcap-dev libmnl-dev libseccomp-dev procps python3 strace util-linux'
apt_bazel='bazel-bootstrap bazel-rules-cc bazel-rules-java bazel-rules-proto bazel-skylib
  libbenchmark-dev libcli11-dev libfmt-dev libgmock-dev libgtest-dev libvalijson-dev nlohmann-json3-dev'
apt_test='asciinema graphviz'
apt_lint='clang clang-format clang-tidy g++-aarch64-linux-gnu'
apt_missing() {
  for package; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}
apt_install='apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y'

dnf_build='gcc-c++ hostname iproute libcap-devel libmnl-devel libseccomp-devel procps-ng python3 strace util-linux'
dnf_test='asciinema graphviz'
dnf_lint='clang clang-tools-extra'
dnf_missing() {
  for package; do rpm --query --quiet --whatprovides "$package" || echo "$package"; done
}
dnf_install='dnf install -q -y'

pacman_build='gcc inetutils iproute2 libcap libmnl libseccomp procps-ng python strace util-linux'
pacman_bazel='bazel'
pacman_test='asciinema graphviz'
pacman_lint='clang'
pacman_missing() { pacman --deptest "$@"; }
pacman_install='pacman --sync --needed --noconfirm'

zypper_build='gcc-c++ hostname iproute2 libcap-devel libmnl-devel libseccomp-devel procps python3 strace util-linux'
zypper_test='asciinema graphviz'
zypper_lint='clang clang-tools'
zypper_missing() { dnf_missing "$@"; }
zypper_install='zypper --quiet --non-interactive install --no-recommends'

if [ "$1" = bazel ]; then
  find_bazel
  exit
fi

for tool in apt-get dnf pacman zypper; do
  command -v "$tool" >/dev/null && break
done
manager=${tool%-get}
if ! command -v "$tool" >/dev/null; then
  cat >&2 <<'END'
None of apt-get, dnf, pacman and zypper is here. To build, install a C++20
compiler, Python 3, the headers of libcap, libmnl and libseccomp, hostname,
iproute2, procps, strace and util-linux; and Bazel 7 or later: https://bazel.build/install/bazelisk
END
  find_bazel >/dev/null
  exit
fi

eval "packages=\$${manager}_build"
[ "$1" = build ] || eval "packages=\"\$packages \$${manager}_$1\""
found=$(find_bazel)
if [ -z "$found" ] || is_debians "$found"; then
  eval "packages=\"\$packages \$${manager}_bazel\""
fi

missing=$("${manager}_missing" $packages | tr '\n' ' ')
if [ -n "$missing" ]; then
  eval "install=\$${manager}_install"
  if [ "$(id -u)" = 0 ]; then
    as_root=
  elif command -v sudo >/dev/null; then
    as_root=sudo
  else
    printf 'Missing packages. As root, run:\n  %s %s\n' "$install" "$missing" >&2
    exit 1
  fi
  echo "Installing: $missing"
  $as_root sh -c "$install $missing" >/dev/null || exit
fi

if ! found=$(find_bazel); then
  echo "Bazel 7 or later is missing: https://bazel.build/install/bazelisk" >&2
  exit 1
fi

# Debian's later ones find Debian's packages as well, if told to.
if is_debians "$found" && ! "$found" --version | grep -q no_version; then
  echo 'common --noenable_bzlmod --enable_workspace' >debian.bazelrc
else
  rm -f debian.bazelrc
fi
