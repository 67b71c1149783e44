#!/usr/bin/env bash
# The figures that the documents quote. Read the ratios: machines differ, and this one may be busy.
set -euo pipefail
cd "$(dirname "$0")/.."

program=target/release/reelmesh
footage=${FOOTAGE:-target/footage}

step() { printf '\n== %s\n' "$*"; }

step "List: a filtered, sorted page of 50 out of 100 000 and 1 000 000 videos"
target/release/examples/list_bench

step "Commits: one voter, sled with fdatasync"
target/release/examples/commit_bench

step "Upload over QUIC on loopback, with hash and fsync"
scripts/bench-upload.sh "$program"

step "Upload over HTTP beside @tus/server, taking over a stale lock, memory of 200 uploads at once"
node scripts/bench-tus.mjs "$program"

step "Render: 60 s of 1080p, three rungs"
scripts/footage.sh "$footage"
node scripts/bench-render.mjs "$program" "$footage/clip-60s-1080p30.mp4"

step "Edit proxies and subclips beside ffmpeg"
node scripts/bench-edit.mjs "$program" "$footage/clip-60s-1080p30.mp4"

step "Lighthouse, throttled telephone, on the library and on a video"
scripts/lighthouse.sh "$program"
