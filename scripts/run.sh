#!/usr/bin/env bash
# Starts one node, puts a generated reel into an empty library, and stays until Ctrl-C.
set -euo pipefail

program=$1
data=${REELMESH_DATA_DIR:-./data}
url=http://127.0.0.1:8080

node_pid=
stop() {
  trap - INT TERM EXIT
  if [ -n "$node_pid" ] && kill -0 "$node_pid" 2>/dev/null; then
    kill -TERM "$node_pid"
    wait "$node_pid" || true
    echo "Stopped. What was uploaded stays in $data."
  fi
  exit "${1:-0}"
}
trap 'stop 0' INT TERM
trap 'stop $?' EXIT

# A session of its own keeps Ctrl-C for this script, which then stops the node in order.
setsid "$program" serve --data-dir "$data" &
node_pid=$!

for _ in $(seq 150); do
  kill -0 "$node_pid" 2>/dev/null || { wait "$node_pid" || stop $?; stop 1; }
  curl -fsS -o /dev/null "$url/readyz" 2>/dev/null && break
  sleep 0.2
done

if [ "$("$program" --json ls --limit 1 | wc -l)" -eq 0 ]; then
  echo "The library is empty: making a short reel and uploading it."
  reel=$(mktemp -d)
  "$program" __reel "$reel/reelmesh-reel.mp4" --seconds 12
  "$program" upload --wait "$reel/reelmesh-reel.mp4"
  rm -r "$reel"
fi

printf '\n  Reelmesh runs at %s\n  Data lies in %s. Ctrl-C stops it.\n\n' "$url" "$data"
wait "$node_pid"
