#!/usr/bin/env bash
# scripts/test_on.sh bookworm|trixie [--cc clang] [ctest arguments...]: builds and tests what is committed on another
# version of Debian, in a clean folder made by debootstrap. Needs root and debootstrap. The folder stays for the next
# time (ROUNDEL_SUITES, /var/tmp/roundel-suites); DEBIAN_MIRROR names another mirror than Debian's own.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:?name a version of Debian: bookworm or trixie}
shift
compiler=g++
if [ "${1:-}" = --cc ]; then
  [ "$2" = clang ] && compiler=clang++
  shift 2
fi
[ "$(id -u)" -eq 0 ] || { echo "error: debootstrap and chroot need root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "error: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }

root=${ROUNDEL_SUITES:-/var/tmp/roundel-suites}/$suite
if [ ! -e "$root/ready" ]; then
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
  # Proxies of this machine serve there as well.
  cp -n /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  touch "$root/ready"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"

release() { umount -l "$root/proc" "$root/dev" 2>/dev/null || true; }
trap release EXIT
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"

# The build folder stays, the sources are those of the commit.
mkdir -p "$root/src" "$root/ccache"
find "$root/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git archive HEAD | tar -x -C "$root/src"
if [ -d tests/e2e/node_modules ]; then cp -rL tests/e2e/node_modules "$root/src/tests/e2e/"; fi

[ "$compiler" = clang++ ] && extra=clang || extra=
chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin:/usr/sbin:/sbin CXX=$compiler CCACHE_DIR=/ccache LANG=C.UTF-8 \
  DEBIAN_FRONTEND=noninteractive bash -ec '
    extra=$1; shift
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends ccache $extra >/dev/null
    cd /src
    exec scripts/test.sh "$@"' test_on "$extra" "$@"
