#!/bin/sh
# Makes a fresh Debian machine with Node and npm ready: Debian's packages and the npm packages that are missing.
# Says nothing and takes a few milliseconds when everything is there.
#
#     sh scripts/setup.sh [build|demo|test|servers|programs|containers|kernels|bench]
#
# Needs root only when a Debian package is missing, and says which.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-test}

wanted="ca-certificates"
optional=""
case $purpose in
  build) ;;
  demo) wanted="$wanted python3" ;;
  bench)
    wanted="$wanted gcc libc6-dev"
    # For the rows of containers.
    optional="runc podman busybox-static"
    ;;
  test)
    wanted="$wanted gcc libc6-dev xz-utils zstd coreutils gzip python3 perl bc openssl bash util-linux"
    # For crit, the judge of our images, a browser for our report, and pycriu and go-criu, clients of the RPC. Not in every
    # release of Debian: without them those tests skip and say so.
    optional="criu chromium-headless-shell golang-go golang-github-checkpoint-restore-go-criu-dev"
    # Containers, in a root file system of busybox.
    optional="$optional runc busybox-static iproute2"
    # Servers that are dumped and restored under load; the lock by iptables.
    optional="$optional iptables redis-server nginx-light memcached"
    # Programs on a terminal.
    optional="$optional tmux vim sqlite3 make procps"
    ;;
  servers)
    wanted="$wanted gcc libc6-dev python3"
    optional="iptables redis-server nginx-light memcached haproxy mosquitto gunicorn python3-gunicorn openssh-server"
    optional="$optional openssh-client rsync postgresql mariadb-server-core default-jdk-headless golang-go erlang-base"
    ;;
  programs)
    wanted="$wanted gcc libc6-dev xz-utils zstd coreutils gzip python3 perl bc openssl bash util-linux"
    optional="tmux vim screen procps less mc emacs-nox dbus dbus-bin make sqlite3 inotify-tools golang-go default-jdk-headless"
    optional="$optional xvfb x11-apps x11-utils"
    ;;
  containers)
    wanted="$wanted util-linux python3 busybox-static"
    optional="runc podman catatonit lxc iproute2 redis-server nginx-light postgresql default-jdk-headless"
    ;;
  kernels)
    # Machines with other kernels; without one of these the whole is skipped.
    optional="qemu-system-x86 debootstrap busybox-static cpio e2fsprogs kmod xz-utils util-linux"
    ;;
  *)
    echo "setup: unknown purpose \"$purpose\": build, demo, test, servers, programs, containers, kernels or bench" >&2
    exit 2
    ;;
esac

# Prints those of the given packages that are not installed.
missing_of() {
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    case "
$installed
" in
      *"
$package installed
"*) ;;
      *) printf ' %s' "$package" ;;
    esac
  done
}

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not Debian: no package is installed; needed are the programs of: $wanted $optional" >&2
else
  # shellcheck disable=SC2086 # the lists are words
  missing=$(missing_of $wanted)
  # shellcheck disable=SC2086
  missing_optional=$(missing_of $optional)
  if [ -n "$missing$missing_optional" ]; then
    if [ "$(id -u)" -ne 0 ]; then
      if [ -n "$missing" ]; then
        echo "setup: Debian packages are missing and installing them needs root: apt-get install$missing$missing_optional" >&2
        exit 1
      fi
      echo "setup: not root, so this is not installed and what needs it is skipped:$missing_optional" >&2
    else
      echo "setup: installing Debian's$missing$missing_optional"
      export DEBIAN_FRONTEND=noninteractive
      apt-get -qq update
      # shellcheck disable=SC2086
      [ -z "$missing" ] || apt-get -qq install -y --no-install-recommends $missing >/dev/null
      for package in $missing_optional; do
        apt-get -qq install -y --no-install-recommends "$package" >/dev/null ||
          echo "setup: not to be had here, so what needs it is skipped: $package" >&2
      done
    fi
  fi
fi

# npm's own record of what is installed is as new as the lock file unless the lock file has changed since.
if [ ! -x node_modules/.bin/bun ] || [ ! -e node_modules/.package-lock.json ] ||
  [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "setup: npm ci"
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
# Where npm is set not to run the scripts of packages, the executable of Bun is not yet in its place.
node_modules/.bin/bun --version >/dev/null 2>&1 || (cd node_modules/bun && node install.js)
