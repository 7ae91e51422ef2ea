#!/usr/bin/env bash
# The whole test suite: installs what it needs, builds, runs everything.
# scripts/test.sh [--asan] [ctest arguments...]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
if [ "${1:-}" = --asan ]; then
  preset=asan-ubsan
  shift
fi
scripts/install.sh tests
# A full ONNX Runtime, which runs exported models, and validators of documents, from npm, without
# install scripts.
if ! (cd tests/e2e && npm ls >/dev/null 2>&1); then
  (cd tests/e2e && npm ci --ignore-scripts --no-audit --no-fund)
fi
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
cd "build/$preset"
exec ctest --output-on-failure -j "$(nproc)" "$@"
