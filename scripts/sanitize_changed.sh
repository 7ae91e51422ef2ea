#!/usr/bin/env bash
# The tests of the rooms that differ from ROUNDEL_BASE (HEAD~1), under the address and undefined-behavior sanitizers.
# A suite whose build and run do not fit into the time that is left is named and skipped.
# scripts/sanitize_changed.sh [seconds in all, 1200]
set -euo pipefail
cd "$(dirname "$0")/.."

end=$((SECONDS + ${1:-1200}))
order='base tensor quant solver graph recipe walk engine targets report session eval io data batch passes cmd'
if changed=$(git diff --name-only "${ROUNDEL_BASE:-HEAD~1}" 2>/dev/null); then
  rooms=$(sed -n 's#^\(tests/\)\?lib/\([a-z_]*\)/.*#\2#p; s#^\(tests/\)\?\(passes\|cmd\)/.*#\2#p' <<<"$changed" | sort -u)
else
  echo "sanitizers: the history does not tell what changed; testing the rooms that read files"
  rooms='graph recipe io data'
fi
# Rooms without a suite of their own are tested by those that use them.
suites=()
for room in $rooms; do
  if [ -d "tests/lib/$room" ] || [ -d "tests/$room" ]; then suites+=("$room"); continue; fi
  case $room in
    ops | fast | matmul) suites+=(engine) ;;
    calibration | layers) suites+=(passes) ;;
    *) suites+=(cmd) ;;
  esac
done
[ "${#suites[@]}" -gt 0 ] || { echo "sanitizers: no room changed"; exit 0; }

cmake --preset asan-ubsan >/dev/null
skipped=()
# Rooms in dependency order, so that those below others come first.
for suite in $order; do
  [[ " ${suites[*]} " == *" $suite "* ]] || continue
  left=$((end - SECONDS))
  if [ "$left" -le 60 ]; then
    skipped+=("$suite")
    continue
  fi
  code=0
  timeout "$left" cmake --build build/asan-ubsan --target "tests/${suite}_test" >build/sanitize_build.txt 2>&1 || code=$?
  if [ "$code" -eq 0 ]; then
    (cd build/asan-ubsan && OMP_WAIT_POLICY=passive timeout "$((end - SECONDS))" \
      ctest -j "$(nproc)" --output-on-failure -R "^$suite: ") >build/sanitize.txt 2>&1 || code=$?
  fi
  case $code in
    0) echo "sanitizers: $suite: $(grep 'tests passed' build/sanitize.txt)" ;;
    124) skipped+=("$suite") ;;
    *) tail -n 60 build/sanitize_build.txt build/sanitize.txt >&2; echo "sanitizers: $suite failed" >&2; exit 1 ;;
  esac
done
[ "${#skipped[@]}" -eq 0 ] || echo "sanitizers: SKIPPED for lack of time: ${skipped[*]} (scripts/test.sh --asan runs all)"
