#!/usr/bin/env bash
# Starts three nodes on loopback, in two sites, and stays until Ctrl-C. What they keep lies in
# ./data/cluster: a second start finds the same cluster again.
set -euo pipefail

# What the environment says of one node is not meant for three.
unset REELMESH_CONFIG REELMESH_DATA_DIR REELMESH_NODE
program=$(realpath "$1")
data=$(realpath -m "${REELMESH_CLUSTER_DIR:-./data/cluster}")
file=$data/cluster.toml
names=(north-1 north-2 south-1)
sites=(north north south)
http() { echo "127.0.0.1:$((8081 + $1))"; }

mkdir -p "$data"
{
  echo "# Written by scripts/cluster.sh."
  echo "[origin]"
  echo "url = \"file://$data/origin\""
  for i in 0 1 2; do
    echo "[[node]]"
    echo "name = \"${names[$i]}\""
    echo "site = \"${sites[$i]}\""
    echo "http = \"$(http "$i")\""
    echo "quic = \"127.0.0.1:$((7444 + i))\""
    echo "data_dir = \"$data/${names[$i]}\""
  done
} >"$file"

pids=()
stop() {
  trap - INT TERM EXIT
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  [ "${#pids[@]}" -eq 0 ] || echo "Stopped. What was uploaded stays in $data."
  exit "${1:-0}"
}
trap 'stop 0' INT TERM
trap 'stop $?' EXIT

# A session of its own keeps Ctrl-C for this script, which then stops the nodes in order.
start() {
  (
    [ -z "${2:-}" ] || export REELMESH_JOIN_TOKEN=$2
    exec setsid "$program" serve --config "$file" --node "${names[$1]}"
  ) >"$data/${names[$1]}.log" 2>&1 &
  pids+=($!)
}
# A node that ended by itself is a failure to show.
await() {
  for _ in $(seq 150); do
    kill -0 "${pids[$1]}" 2>/dev/null || { tail -n 5 "$data/${names[$1]}.log" >&2; stop 1; }
    curl -fsS -o /dev/null "http://$(http "$1")/$2" 2>/dev/null && return
    sleep 0.2
  done
  echo "node ${names[$1]} is not ready; see $data/${names[$1]}.log" >&2
  stop 1
}

[ -e "$data/${names[0]}/tls/node.pem" ] ||
  "$program" cluster init --config "$file" --node "${names[0]}"
start 0
await 0 healthz
for i in 1 2; do
  if [ -e "$data/${names[$i]}/tls/node.pem" ]; then
    start "$i"
  else
    start "$i" "$("$program" token create --to "http://$(http 0)")"
  fi
done
for i in 0 1 2; do await "$i" readyz; done
"$program" apply --to "http://$(http 0)" "$file"

echo
for i in 0 1 2; do echo "  ${names[$i]} (${sites[$i]}) runs at http://$(http "$i")"; done
printf '  Data lies in %s. Ctrl-C stops all three.\n\n' "$data"
# One that ends, or is killed to see what happens, does not take the others with it.
left=(0 1 2)
while [ "${#left[@]}" -gt 0 ]; do
  wait -n || true
  running=()
  for i in "${left[@]}"; do
    if kill -0 "${pids[$i]}" 2>/dev/null; then
      running+=("$i")
    else
      echo "${names[$i]} has ended; its log is $data/${names[$i]}.log"
    fi
  done
  left=("${running[@]}")
done
echo "no node is left" >&2
stop 1
