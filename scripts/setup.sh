#!/usr/bin/env bash
# Installs from Debian what the named purposes need: run, test, bench, clients. Names it first, asks nothing.
set -euo pipefail

packages_run=(
  pkg-config gcc libc6-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav fonts-dejavu-core curl
)
packages_test=(chromium e2fsprogs gstreamer1.0-tools iproute2 mount)
packages_bench=(chromium ffmpeg)
packages_cdn=(nginx varnish)
packages_clients=(python3 python3-venv)

wanted=()
for purpose in "$@"; do
  case "$purpose" in
    run) wanted+=("${packages_run[@]}") ;;
    test) wanted+=("${packages_test[@]}") ;;
    bench) wanted+=("${packages_bench[@]}") ;;
    cdn) wanted+=("${packages_cdn[@]}") ;;
    clients) wanted+=("${packages_clients[@]}") ;;
    *) echo "setup.sh: no such purpose: $purpose (run, test, bench, cdn, clients)" >&2; exit 2 ;;
  esac
done

need() {
  command -v "$1" >/dev/null && return
  echo "Reelmesh needs $1: $2" >&2
  exit 1
}
need cargo "install Rust with rustup, see https://rustup.rs"
need node "install Node.js 20 or newer"
need npm "install npm beside Node.js"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || {
  echo "Reelmesh needs Node.js 20 or newer; this is $(node --version)." >&2
  exit 1
}

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "This system has no apt-get. Install what matches these Debian packages: ${missing[*]}" >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root: apt-get install ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "Installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
