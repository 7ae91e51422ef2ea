#!/usr/bin/env bash
# Checks format, names and bugs (clang-tidy), and generated documentation.
#
# scripts/check.sh [--all]: runs clang-tidy on the files that differ from ROUNDEL_BASE (HEAD~1), or
# on all. The structure of the tree is a test of the suite (tests/structure_test.cpp).
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh checks
mkdir -p build
failed=0
sources() { find lib passes cmd tests -name node_modules -prune -o \( -name '*.cpp' -o -name '*.h' \) -print; }

# Other versions format differently: this is the one of Debian 12.
if command -v clang-format-14 >/dev/null; then
  if ! sources | xargs clang-format-14 --dry-run -Werror 2>build/format.txt; then
    echo "format: $(grep -c 'warning:\|error:' build/format.txt) places differ; git ls-files '*.cpp' '*.h' | xargs clang-format-14 -i" >&2
    grep 'error:' build/format.txt | cut -d: -f1 | sort | uniq -c | sort -rn | head >&2
    failed=1
  fi
else
  echo "format: skipped, clang-format-14 is not to be had here"
fi

cmake --preset dev >/dev/null
cmake --build --preset dev --target roundel
if ! build/dev/roundel passes --markdown | diff -q - passes/README.md >/dev/null; then
  echo "passes/README.md is not what the passes say: build/dev/roundel passes --markdown > passes/README.md" >&2
  failed=1
fi

if command -v clang-tidy >/dev/null; then
  if [ "${1:-}" = --all ]; then
    files=$(find lib passes cmd -name '*.cpp')
  else
    files=$(git diff --name-only --diff-filter=d "${ROUNDEL_BASE:-HEAD~1}" -- 'lib/*.cpp' 'passes/*.cpp' 'cmd/*.cpp' 2>/dev/null || true)
  fi
  if [ -n "$files" ] && ! echo "$files" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/dev --quiet --extra-arg=-Wno-unknown-pragmas --extra-arg=-Wno-unknown-warning-option >build/tidy.txt 2>/dev/null; then
    grep 'error:' build/tidy.txt | sort -u | head -50 >&2
    failed=1
  fi
else
  echo "clang-tidy: skipped, it is not to be had here"
fi
exit $failed
