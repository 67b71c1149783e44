#!/usr/bin/env bash
# Starts a node on free ports, then lets headless Chromium upload a generated reel and play it.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-target/debug/reelmesh}
work=$(mktemp -d)
shots=${SCREENSHOTS:-$work/screenshots}
mkdir -p "$shots"

node_pid=
stop() {
  status=$?
  trap - EXIT
  [ -n "$node_pid" ] && kill -TERM "$node_pid" 2>/dev/null && wait "$node_pid" || true
  [ "$status" -eq 0 ] || { echo "--- log of the node"; tail -n 60 "$work/node.log"; }
  rm -rf "$work"
  exit "$status"
}
trap stop EXIT

port() {
  node -e 'const s=require("node:net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'
}
http=127.0.0.1:$(port)
cat > "$work/cluster.toml" <<TOML
[[node]]
name = "e2e"
http = "$http"
quic = "127.0.0.1:0"
TOML

"$program" __reel "$work/reel.mp4" --seconds 20
"$program" serve --config "$work/cluster.toml" --data-dir "$work/data" > "$work/node.log" 2>&1 &
node_pid=$!
for _ in $(seq 150); do
  curl -fsS -o /dev/null "http://$http/readyz" 2>/dev/null && break
  kill -0 "$node_pid"
  sleep 0.2
done

BASE_URL="http://$http" FILE="$work/reel.mp4" SCREENSHOTS="$shots" node web/e2e/upload-and-play.mjs

# The same node, by the client that most tus users have. `make clients-test` has the others.
node scripts/tus-clients.mjs "http://$http" tus-js-client
# The very video that was just made, held against the rules of HLS; and each rule against a mistake.
master=$(curl -fsS "http://$http/api/v1/videos" | node -e \
  'process.stdin.on("data",d=>console.log(JSON.parse(d).items[0].hls_url))')
node scripts/lint-hls.mjs "http://$http$master"
node scripts/hls/rules.check.mjs "http://$http$master"
