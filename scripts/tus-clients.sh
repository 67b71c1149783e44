#!/usr/bin/env bash
# Starts a node on free ports and lets tus-js-client, Uppy and tuspy upload to it, all as they are published.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-target/debug/reelmesh}")
clients=target/clients
work=$(mktemp -d)

mkdir -p "$clients"
if [ ! -d "$clients/node_modules/@uppy/tus" ]; then
  echo "Installing Uppy from npm into $clients"
  echo '{ "private": true }' > "$clients/package.json"
  npm install --prefix "$clients" --no-audit --no-fund --silent @uppy/core@5 @uppy/tus@5
fi
if [ ! -x "$clients/venv/bin/python" ] || ! "$clients/venv/bin/python" -c 'import tusclient' 2>/dev/null; then
  echo "Installing tuspy from PyPI into $clients/venv"
  python3 -m venv "$clients/venv"
  "$clients/venv/bin/pip" install --quiet --disable-pip-version-check 'tuspy==1.1.0'
fi

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
page_port=$(port)
cat > "$work/cluster.toml" <<TOML
[http]
cors_origins = ["http://127.0.0.1:$page_port"]

[[node]]
name = "clients"
http = "$http"
quic = "127.0.0.1:0"
TOML

"$program" serve --config "$work/cluster.toml" --data-dir "$work/data" > "$work/node.log" 2>&1 &
node_pid=$!
for _ in $(seq 150); do
  curl -fsS -o /dev/null "http://$http/readyz" 2>/dev/null && break
  kill -0 "$node_pid"
  sleep 0.2
done

CLIENTS=$(realpath "$clients") PAGE_PORT=$page_port node scripts/tus-clients.mjs "http://$http" tus-js-client uppy
"$clients/venv/bin/python" scripts/tus-clients.py "http://$http"
