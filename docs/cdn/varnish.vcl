vcl 4.1;
# Varnish in front of Reelmesh. Change the lines marked CHANGE. `make cdn-test` runs this very file.

import std;

backend node {
  .host = "127.0.0.1";  # CHANGE
  .port = "8080";  # CHANGE
  .connect_timeout = 2s;
  .first_byte_timeout = 25s;
  # /healthz says that the node is there; /readyz is also about the origin, without which a node
  # still serves what it has in its cache.
  .probe = { .url = "/healthz"; .interval = 2s; .timeout = 1s; .window = 4; .threshold = 2; .initial = 2; }
}

acl purgers { "127.0.0.1"; }  # CHANGE: who may take things out

sub vcl_recv {
  # delivery.purge_command = ["curl", "-fsS", "-X", "BAN", "-H", ...]: see docs/delivery.md.
  if (req.method == "BAN") {
    if (client.ip !~ purgers) { return (synth(405)); }
    if (req.http.X-Tag !~ "^[vr]-[0-9a-f-]+$") { return (synth(400)); }
    std.ban("obj.http.Cache-Tag ~ (^|,)" + req.http.X-Tag + "(,|$)");
    return (synth(200, "Gone"));
  }
  if (req.url !~ "^/hls/") { return (synth(404)); }
  if (req.method != "GET" && req.method != "HEAD" && req.method != "OPTIONS") { return (synth(405)); }
  if (req.method == "OPTIONS") { return (pass); }
  unset req.http.Cookie;
  unset req.http.Authorization;
  set req.url = regsub(req.url, "\?.*$", "");
  # While a node is there, nothing older than this is served; while none is, what there is.
  if (std.healthy(req.backend_hint)) { set req.grace = 10s; }
  return (hash);
}

sub vcl_backend_fetch {
  set bereq.http.Host = "localhost";
}

sub vcl_backend_response {
  set beresp.grace = 24h;
  set beresp.keep = 24h;
  # Under a grant, nothing outlives it: the node has limited the life of its answer, and there is
  # no grace after it. Grants end together, so viewers share one path and one entry.
  if (bereq.url ~ "^/hls/s/") {
    set beresp.grace = 0s;
    set beresp.keep = 0s;
  }
  # An answer that went wrong must not take the place of a good one.
  if (beresp.status >= 500 && bereq.is_bgfetch) { return (abandon); }
  if (beresp.status == 403) { set beresp.uncacheable = true; set beresp.ttl = 0s; return (deliver); }
  if (beresp.status == 404) { set beresp.ttl = 1s; set beresp.grace = 0s; }
}

sub vcl_deliver {
  if (obj.hits > 0) { set resp.http.X-Cache = "HIT"; } else { set resp.http.X-Cache = "MISS"; }
  unset resp.http.Via;
  unset resp.http.X-Varnish;
}
