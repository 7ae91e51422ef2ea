#!/usr/bin/env bash
# The part of test_on.sh that runs inside of the clean folder: test_here.sh gcc|clang|arm64 [ctest arguments...].
set -euo pipefail
cd "$(dirname "$0")/.."
variant=$1
shift
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

if [ "$variant" != arm64 ]; then
  apt-get update -qq
  install ccache
  [ "$variant" = gcc ] || install clang libomp-dev
  [ "$variant" = gcc ] || export CXX=clang++ CC=clang
  exec scripts/test.sh "$@"
fi

dpkg --add-architecture arm64
apt-get update -qq
# Tools run here, libraries are arm64's.
tools=() libraries=()
while read -r name; do
  case "$name" in
    '' | '#'*) continue ;;
    tests:) break ;;
    g++) tools+=(g++ g++-aarch64-linux-gnu) ;;
    lib* | zlib* | nlohmann*) libraries+=("$name:arm64") ;;
    *) tools+=("$name") ;;
  esac
done < scripts/packages.txt
install ccache qemu-user-static "${tools[@]}" "${libraries[@]}" catch2:arm64
cmake --preset dev -B build/arm64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake >/dev/null
rooms='base tensor quant solver'
cmake --build build/arm64 --target roundel
for room in $rooms; do cmake --build build/arm64 --target "${room}_test"; done
qemu-aarch64-static build/arm64/roundel --version
cd build/arm64
exec ctest --output-on-failure -j "$(nproc)" -R "^(${rooms// /|}):" "$@"
