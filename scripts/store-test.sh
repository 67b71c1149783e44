#!/usr/bin/env bash
# Publishing into real servers (s3s-fs, Azurite, moto), each killed and brought back in the middle.
# Installs them from their registries below target/tools; the first time takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools
mkdir -p "$tools"
if [ ! -x "$tools/bin/s3s-fs" ]; then
  echo "Installing s3s-fs from crates.io"
  CARGO_TARGET_DIR="$tools/build" cargo install s3s-fs --version 0.14.1 --features binary --locked --root "$tools"
  rm -rf "$tools/build"
fi
if [ ! -d "$tools/azurite/node_modules/azurite" ]; then
  echo "Installing Azurite from npm"
  mkdir -p "$tools/azurite"
  (cd "$tools/azurite" && npm init --yes >/dev/null && npm install --silent --no-audit --no-fund azurite@3.35.0)
fi
if [ ! -x "$tools/moto/bin/moto_server" ]; then
  echo "Installing moto from PyPI"
  python3 -m venv "$tools/moto"
  "$tools/moto/bin/pip" install --quiet 'moto[server]==5.2.5'
fi

[ "${1:-}" = --only-install ] && exit 0

export REELMESH_TEST_S3S=$tools/bin/s3s-fs
export REELMESH_TEST_AZURITE=$tools/azurite/node_modules/azurite/dist/src/blob/main.js
export REELMESH_TEST_MOTO=$tools/moto/bin/moto_server
# One after the other: each wants the machine for itself.
cargo test --locked --quiet --package node --lib -- publish::servers --ignored --nocapture --test-threads 1
