#!/usr/bin/env bash
# Wall time of `reelmesh upload` on loopback, hash and fsync included, beside cp with fsync.
set -euo pipefail

program=$1
work=$(mktemp -d)
port() {
  node -e 'const s=require("node:net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'
}
http=127.0.0.1:$(port)
printf '[[node]]\nname = "bench"\nhttp = "%s"\nquic = "127.0.0.1:0"\n' "$http" > "$work/cluster.toml"
"$program" serve --config "$work/cluster.toml" --data-dir "$work/data" > "$work/node.log" 2>&1 &
node_pid=$!
trap 'kill -TERM $node_pid 2>/dev/null; wait $node_pid 2>/dev/null || true; rm -rf "$work"' EXIT
until curl -fsS -o /dev/null "http://$http/readyz" 2>/dev/null; do kill -0 $node_pid; sleep 0.1; done

now() { date +%s%N; }
for size in 10 1024; do
  head -c "${size}M" /dev/urandom > "$work/file-$size.bin"
  start=$(now)
  "$program" upload --to "http://$http" "$work/file-$size.bin" > /dev/null
  upload=$(( ($(now) - start) / 1000000 ))
  start=$(now)
  dd if="$work/file-$size.bin" of="$work/copy.bin" bs=4M conv=fsync status=none
  copy=$(( ($(now) - start) / 1000000 ))
  printf '  %5s MiB  upload %6s ms (%s MiB/s)   dd with fsync %6s ms\n' \
    "$size" "$upload" $(( size * 1000 / (upload > 0 ? upload : 1) )) "$copy"
  rm "$work/copy.bin"
done
