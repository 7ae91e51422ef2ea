#!/usr/bin/env bash
# install.sh build|tests|checks|package|scheduler: installs the missing packages of packages.txt, as root or through sudo.
# Does nothing, and needs no network, if all of them are installed.
set -euo pipefail
cd "$(dirname "$0")"

want=${1:-build}
packages=() section=build
while read -r name; do
  case "$name" in
    '' | '#'*) continue ;;
    *:) section=${name%:}; continue ;;
  esac
  [ "$section" = build ] || [ "$section" = "$want" ] || continue
  # What not every version of Debian has.
  case "$name" in '?'*) name=${name#?}; apt-cache show "$name" >/dev/null 2>&1 || continue ;; esac
  # A node that did not come from Debian serves as well.
  case "$name" in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
  dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || packages+=("$name")
done < packages.txt
[ "${#packages[@]}" -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "error: these packages are missing, and there is no sudo to install them: ${packages[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
