#!/usr/bin/env bash
# Every check, cheapest first. CI runs this and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "Formatting"
cargo fmt --all --check

step "Web: install, types, tests, build, size"
make --no-print-directory web/node_modules/.package-lock.json
(cd web && npm run --silent format:check && npm run --silent types:check && npm run --silent typecheck && npm run --silent test)
make --no-print-directory web/dist/index.html
(cd web && npm run --silent size)

step "Pure crates alone: without openraft, sled and tokio"
cargo test --locked --quiet --package coordinator --no-default-features

step "Lints"
cargo clippy --locked --workspace --all-targets -- --deny warnings

step "Rust tests"
cargo test --locked --workspace

step "End to end: a real browser uploads a file and plays it"
scripts/e2e.sh target/debug/reelmesh
