#!/usr/bin/env bash
# scripts/test_on.sh bookworm|trixie [--cc clang | --arch arm64] [ctest arguments...]
#
# Builds and tests the committed state on another version of Debian, in a clean folder made by
# debootstrap. Requires root and debootstrap. The folder is kept for the next time (ROUNDEL_SUITES,
# /var/tmp/roundel-suites). DEBIAN_MIRROR names a mirror other than Debian's own. --arch arm64
# cross-compiles, and runs the tests of the rooms from base to solver under qemu.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:?name a version of Debian: bookworm or trixie}
shift
variant=gcc
case "${1:-} ${2:-}" in
  '--cc clang') variant=clang; shift 2 ;;
  '--arch arm64') variant=arm64; shift 2 ;;
  --cc* | --arch*) echo "error: test_on.sh knows --cc clang and --arch arm64, not '$1 ${2:-}'" >&2; exit 1 ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "error: debootstrap and chroot need root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "error: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }

root=${ROUNDEL_SUITES:-/var/tmp/roundel-suites}/$suite
if [ ! -e "$root/ready" ]; then
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
  # The proxies of this machine apply there as well.
  cp -n /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  touch "$root/ready"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Certificates of this machine's proxies, for npm.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/host-certificates.crt"

release() { umount -l "$root/proc" "$root/dev" 2>/dev/null || true; }
trap release EXIT
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"

# The build folders are kept; the sources are those of the commit.
mkdir -p "$root/src" "$root/ccache"
find "$root/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git archive HEAD | tar -x -C "$root/src"
if [ -d tests/e2e/node_modules ]; then cp -rL tests/e2e/node_modules "$root/src/tests/e2e/"; fi

chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin:/usr/sbin:/sbin CCACHE_DIR=/ccache LANG=C.UTF-8 \
  NODE_EXTRA_CA_CERTS=/etc/ssl/host-certificates.crt \
  DEBIAN_FRONTEND=noninteractive bash -e /src/scripts/test_here.sh "$variant" "$@"
