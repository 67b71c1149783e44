#!/usr/bin/env bash
# Lighthouse with its throttled telephone, on the library and on a video, against a node with something in it.
# Prints the median of RUNS runs (5) of each figure, and the score of each category.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-target/release/reelmesh}
runs=${RUNS:-5}
work=$(mktemp -d)
node_pid=
stop() {
  status=$?
  trap - EXIT
  [ -n "$node_pid" ] && kill -TERM "$node_pid" 2>/dev/null && wait "$node_pid" || true
  [ "$status" -eq 0 ] || tail -n 20 "$work/node.log" >&2
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
name = "lighthouse"
http = "$http"
quic = "127.0.0.1:0"
TOML
"$program" __reel "$work/reel.mp4" --seconds 8
"$program" serve --config "$work/cluster.toml" --data-dir "$work/data" > "$work/node.log" 2>&1 &
node_pid=$!
for _ in $(seq 150); do
  curl -fsS -o /dev/null "http://$http/readyz" 2>/dev/null && break
  kill -0 "$node_pid"
  sleep 0.2
done
# A window full of videos: the picture that is painted last is one of theirs.
for number in $(seq 1 "${VIDEOS:-6}"); do
  cp "$work/reel.mp4" "$work/Take $number.mp4"
  "$program" upload "$work/Take $number.mp4" --to "http://$http" --wait > /dev/null 2>&1
done
id=$(curl -fsS "http://$http/api/v1/videos?limit=1" | node -pe 'JSON.parse(require("fs").readFileSync(0)).items[0].id')
npm exec --yes --package=lighthouse@12.8.2 -- node scripts/lighthouse.mjs "$runs" "http://$http/" "http://$http/videos/$id"
