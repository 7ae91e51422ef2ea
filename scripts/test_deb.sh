#!/usr/bin/env bash
# scripts/test_deb.sh [SUITE]: installs the packages of build/packages (scripts/package.sh) in clean folders of Debian
# (bookworm) made by debootstrap, and runs the sample there: once the .deb, whose dependencies apt finds, and once the
# tarball, in a folder without any of them. The library of libroundel-dev is built into its example. All must write the same
# model. Needs root and debootstrap; the folder stays
# for the next time (ROUNDEL_SUITES, /var/tmp/roundel-suites), DEBIAN_MIRROR names another mirror than Debian's own.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
packages=$PWD/build/packages
[ "$(id -u)" -eq 0 ] || { echo "error: debootstrap and chroot need root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "error: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
ls "$packages"/roundel_*.deb >/dev/null || { echo "error: no package: run scripts/package.sh" >&2; exit 1; }

suites=${ROUNDEL_SUITES:-/var/tmp/roundel-suites}
base=$suites/$suite.base
if [ ! -e "$base/ready" ]; then
  mkdir -p "$base"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
  # Proxies of this machine serve there as well.
  cp -n /etc/apt/apt.conf.d/* "$base/etc/apt/apt.conf.d/" 2>/dev/null || true
  touch "$base/ready"
fi

root=
release() {
  [ -n "$root" ] || return 0
  umount -l "$root/proc" "$root/dev" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap release EXIT

# A copy of the folder, with the sample and the packages in /test.
fresh() {
  release
  root=$(mktemp -d "$suites/$suite.XXXXXX")
  cp -a --reflink=auto "$base/." "$root/"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/test"
  cp -r testdata/sample "$packages"/* "$root/test/"
  mount -t proc proc "$root/proc"
  mount --rbind --make-rslave /dev "$root/dev"
}
inside() {
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive bash -ec "$1"
}
sample='
  cd /test/sample
  roundel quantize model.onnx --calib calib --preset tf -o /test/int8.onnx
  roundel eval model.onnx /test/int8.onnx --data test_images.npy --labels test_labels.npy --preset tf --max-drop 1'

echo "== The Debian package on $suite"
fresh
inside '
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends /test/roundel_*.deb >/dev/null
  roundel --version
  test -s /usr/share/bash-completion/completions/roundel
  test -s /usr/share/doc/roundel/sbom.cdx.json
  ! ldd /usr/bin/roundel | grep "not found"'
inside "$sample"
written=$(sha256sum <"$root/test/int8.onnx")
inside 'apt-get purge -y -qq roundel >/dev/null; ! test -e /usr/bin/roundel && ! test -e /usr/share/doc/roundel'

echo "== The library on $suite"
fresh
inside '
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends /test/libroundel-dev_*.deb g++ cmake make >/dev/null
  cmake -S /usr/share/doc/libroundel-dev/examples/library -B /test/example >/dev/null
  cmake --build /test/example
  /test/example/quantize_images /test/sample/model.onnx /test/sample/calib /test/int8.onnx'
[ "$written" = "$(sha256sum <"$root/test/int8.onnx")" ] || { echo "error: the two models differ" >&2; exit 1; }

echo "== The tarball on $suite, without any package"
fresh
inside '
  mkdir -p /opt/elsewhere
  tar -xzf /test/roundel-*.tar.gz -C /opt/elsewhere
  ln -s /opt/elsewhere/roundel-*/bin/roundel /usr/local/bin/roundel
  ! ldd /opt/elsewhere/roundel-*/bin/roundel | grep "not found"'
inside "$sample"
[ "$written" = "$(sha256sum <"$root/test/int8.onnx")" ] || { echo "error: the two models differ" >&2; exit 1; }
echo "All run the sample and write the same model."
