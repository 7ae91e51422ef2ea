#!/usr/bin/env bash
# scripts/reproduce.sh [COMMIT]: builds a commit (HEAD) twice, in folders, clones, time zones, languages and permissions
# that differ, and compares program, library and packages byte by byte. Takes twice the time of a build.
# ROUNDEL_REPRODUCE names the folder (/var/tmp/roundel-reproduce).
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(git rev-parse "${1:-HEAD}")
base=${ROUNDEL_REPRODUCE:-/var/tmp/roundel-reproduce}
first=$base/one second=$base/another/folder/that-is-deeper
rm -rf "$base"
mkdir -p "$first" "$(dirname "$second")"

git clone -q --shared . "$first"
git -C "$first" checkout -q "$commit"
git clone -q "file://$PWD" "$second"
git -C "$second" checkout -q "$commit"

(cd "$first" && umask 022 && TZ=UTC LC_ALL=C.UTF-8 scripts/package.sh)
(cd "$second" && umask 077 && TZ=Asia/Tokyo LC_ALL=C HOME=/nonexistent CMAKE_BUILD_PARALLEL_LEVEL=1 scripts/package.sh)

differ=0
for file in $(cd "$first" && ls build/release/roundel build/release/libroundel.a build/packages/* 2>/dev/null); do
  if cmp -s "$first/$file" "$second/$file"; then echo "same     $file"; else echo "DIFFERS  $file"; differ=1; fi
done
exit $differ
