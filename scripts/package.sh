#!/usr/bin/env bash
# scripts/package.sh [BUILD]: makes build/packages/*.deb and *.tar.gz from a build folder (build/release, which is built
# if it is not there). The same commit gives the same bytes: times are those of the commit, unless SOURCE_DATE_EPOCH
# says another.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh package
build=${1:-build/release}
if [ ! -e "$build/roundel" ]; then
  # Without a compiler cache: code does not depend on what is installed.
  cmake --preset release -DCCACHE_PROGRAM= >/dev/null
  cmake --build --preset release
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022
out=$PWD/build/packages
rm -rf "$out"
mkdir -p "$out"
(cd "$build" && cpack -G "DEB;TGZ" -B "$out") >"$out/log" || { cat "$out/log" >&2; exit 1; }
rm -rf "$out/_CPack_Packages" "$out/log"
(cd "$out" && sha256sum roundel* lib* 2>/dev/null | tee SHA256SUMS)
