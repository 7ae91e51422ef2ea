#!/usr/bin/env bash
# scripts/fuzz_smoke.sh [total seconds]
#
# Runs every fuzz target, and the fuzzer of graphs, for a short time, 60 s in total, to check that
# they build and find no obvious error. Exits 1 on a finding, and keeps its input in
# build/fuzz/findings. Targets that the machine cannot run are named and skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

total=${1:-60}
findings=build/fuzz/findings
mkdir -p "$findings"
failed=()

# ---- random graphs, in the kernels and in ONNX Runtime: requires the build of the tests

seconds=$((total / 7))
[ "$seconds" -gt 0 ] || seconds=1
if ! command -v node >/dev/null || [ ! -d tests/e2e/node_modules/onnxruntime-node ]; then
  echo "graphs: SKIPPED, node or tests/e2e/node_modules is missing (scripts/test.sh installs both)"
elif [ ! -f build/dev/build.ninja ]; then
  echo "graphs: SKIPPED, there is no build/dev (scripts/test.sh makes it)"
else
  cmake --build build/dev --target graph_runner >/dev/null
  if node tests/fuzz/graphs.js --minutes "$(awk "BEGIN { print $seconds / 60 }")" --keep "$findings" >build/fuzz/graphs.log; then
    echo "graphs: $(sed -n 's/^seeds 1 to \([0-9]*\).*/\1/p' build/fuzz/graphs.log) graphs in $seconds s, nothing found"
  else
    echo "graphs: FAILED"
    cat build/fuzz/graphs.log
    failed+=(graphs)
  fi
fi

# ---- parsers

skip() {
  echo "parsers: SKIPPED, $1"
  [ "${#failed[@]}" -eq 0 ]
  exit
}
if ! command -v clang++ >/dev/null; then
  skip "there is no clang++ (Debian: apt-get install clang)"
fi
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
  clang++ -x c++ - -fsanitize=fuzzer,address -fopenmp -o /dev/null 2>/dev/null; then
  skip "clang++ lacks libFuzzer or OpenMP (Debian: apt-get install libclang-rt-dev libomp-dev)"
fi

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzzers
programs=(build/fuzz/tests/fuzz/*_fuzz)
seconds=$((total / (${#programs[@]} + 1)))
[ "$seconds" -gt 0 ] || seconds=1
rm -rf build/fuzz/seeds
build/fuzz/tests/fuzz/fuzz_seeds build/fuzz/seeds

for program in "${programs[@]}"; do
  name=$(basename "$program")
  log=build/fuzz/$name.log
  if "$program" "build/fuzz/seeds/$name" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 \
    -max_len=8192 -artifact_prefix="$findings/$name-" >"$log" 2>&1; then
    echo "$name: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs in $seconds s, nothing found"
  else
    echo "$name: FAILED"
    tail -n 40 "$log"
    failed+=("$name")
  fi
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "fuzz smoke run: findings of ${failed[*]} are in $findings; run the program on such a file to see one again"
  exit 1
fi
