// The real nginx and the real Varnish in front of a node, with the sample configurations of
// docs/cdn: hit rates, one request however many wait, service while the node is away, signed paths.
//
//     node scripts/cdn-test.mjs target/release/reelmesh

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { Agent, get as httpGet } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { lint } from "./hls/rules.mjs";

const program = resolve(process.argv[2] ?? "target/release/reelmesh");
const work = mkdtempSync(join(tmpdir(), "reelmesh-cdn-"));
const children = new Set();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const VIEWERS = 1000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => console.log(`cdn: ${text}`);

async function port() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

function start(command, args, log) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const text = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => text.push(data.toString()));
  child.log = () => `--- ${log}\n${text.join("").slice(-4000)}`;
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

async function stop(child, signal = "SIGTERM") {
  if (!children.has(child)) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  await gone;
}

function fetchRaw(url, headers = {}) {
  return new Promise((done, fail) => {
    const request = httpGet(url, { agent, headers }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => done({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(parts) }));
      response.on("error", fail);
    });
    // A server may close a quiet connection in the moment in which it is used again.
    request.on("error", (error) =>
      request.reusedSocket && error.code === "ECONNRESET" ? fetchRaw(url, headers).then(done, fail) : fail(error),
    );
    request.setTimeout(30_000, () => request.destroy(new Error(`${url} does not answer`)));
  });
}

async function until(what, check, seconds = 120) {
  for (let tries = 0; tries < seconds * 5; tries += 1) {
    const found = await check().catch(() => null);
    if (found) return found;
    await sleep(200);
  }
  throw new Error(`it never came to be: ${what}`);
}

/** A node with one video that is ready. */
async function startNode(name, delivery, reel, previous) {
  const http = previous?.http ?? (await port());
  const config = join(work, `${name}.toml`);
  writeFileSync(
    config,
    `[delivery]\n${delivery}\n[[node]]\nname = "${name}"\nhttp = "127.0.0.1:${http}"\nquic = "127.0.0.1:0"\n`,
  );
  const child = start(program, ["serve", "--config", config, "--data-dir", join(work, name)], name);
  const base = `http://127.0.0.1:${http}`;
  await until("the node is ready", async () => (await fetchRaw(`${base}/readyz`)).status === 200);
  if (reel) {
    const sent = spawnSync(program, ["upload", reel, "--to", base, "--wait"], { encoding: "utf8" });
    assert.equal(sent.status, 0, sent.stderr);
  }
  const list = JSON.parse((await fetchRaw(`${base}/api/v1/videos`)).bytes);
  return { child, base, http, video: list.items[0] };
}

/** Requests for media and playlists that the node has answered. */
async function asked(node) {
  const text = (await fetchRaw(`${node.base}/metrics`)).bytes.toString();
  let sum = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith("http_server_request_duration_seconds_count") || !line.includes('route="/hls/')) continue;
    sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}

async function nginx(node, secret) {
  const listen = await port();
  const folder = join(work, `nginx-${listen}`);
  mkdirSync(join(folder, "tmp"), { recursive: true });
  const change = (text, from, to) => {
    assert.ok(text.includes(from), from);
    return text.replace(from, to);
  };
  let site = readFileSync("docs/cdn/nginx.conf", "utf8");
  site = change(site, "/var/cache/nginx/reelmesh", join(folder, "cache"));
  site = change(site, "127.0.0.1:8080", `127.0.0.1:${node.http}`);
  site = change(site, "listen 80;", `listen 127.0.0.1:${listen};`);
  if (secret) site = change(site, '1 "SECRET";', `${secret.id} "${secret.secret}";`);
  writeFileSync(join(folder, "site.conf"), site);
  const user = process.getuid() === 0 ? "user root;" : "";
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/tmp/${kind};`);
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; ${user} pid ${folder}/pid; error_log stderr warn; worker_processes 2;
     events { worker_connections 1024; }
     http { access_log off; ${temp.join(" ")} include ${folder}/site.conf; }`,
  );
  const child = start("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], "nginx");
  const base = `http://127.0.0.1:${listen}`;
  await until("nginx listens", async () => (await fetchRaw(`${base}/`)).status === 404, 20);
  return { name: "nginx", child, base };
}

async function varnish(node) {
  const listen = await port();
  const folder = join(work, `varnish-${listen}`);
  mkdirSync(folder);
  let vcl = readFileSync("docs/cdn/varnish.vcl", "utf8");
  assert.ok(vcl.includes('.port = "8080";'));
  vcl = vcl.replace('.port = "8080";', `.port = "${node.http}";`);
  const file = join(work, `varnish-${listen}.vcl`);
  writeFileSync(file, vcl);
  const args = ["-F", "-n", folder, "-f", file, "-a", `127.0.0.1:${listen}`, "-s", "malloc,256m", "-p", "thread_pool_min=200"];
  // As root Varnish gives up its rights, and could not read the folder; the test trusts itself.
  if (process.getuid() === 0) args.unshift("-j", "none");
  const child = start("varnishd", args, "varnish");
  const base = `http://127.0.0.1:${listen}`;
  await until("varnish listens", async () => (await fetchRaw(`${base}/`)).status === 404, 30);
  return { name: "varnish", child, base };
}

const path = (url) => url.replace(/^https?:\/\/[^/]+/, "");

/** Names of everything that a viewer of one rendition asks for, playlists first. */
async function journey(base, master, rendition = "720p") {
  const folder = master.replace(/master\.m3u8$/, "");
  const lists = [master, `${folder}${rendition}/media.m3u8`, `${folder}audio/media.m3u8`];
  const files = [];
  for (const list of lists.slice(1)) {
    const text = (await fetchRaw(base + list)).bytes.toString();
    const here = list.replace(/media\.m3u8$/, "");
    const map = /EXT-X-MAP:URI="([^"]+)"/g;
    for (const [, name] of text.matchAll(map)) files.push(here + name);
    for (const line of text.split("\n")) if (line && !line.startsWith("#")) files.push(here + line);
  }
  return { lists, files };
}

async function throng(count, task) {
  let next = 0;
  const one = async () => {
    while (next < count) {
      next += 1;
      await task();
    }
  };
  await Promise.all(Array.from({ length: 64 }, one));
}

async function lintThrough(front, master) {
  const get = async (url, range) => {
    const headers = range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {};
    const answer = await fetchRaw(url, headers);
    assert.equal(answer.status, range ? 206 : 200, url);
    return answer;
  };
  const report = await lint(front.base + master, get);
  assert.deepEqual(report.must, [], "through the cache as without it");
  return report.checks;
}

/** What holds for every cache in front of a node. */
async function common(front, node, master) {
  const { lists, files } = await journey(node.base, master);
  const before = await asked(node);
  const crowd = await Promise.all(Array.from({ length: 60 }, () => fetchRaw(front.base + files.at(-1))));
  for (const { status, bytes } of crowd) assert.equal(status, 200, bytes.toString().slice(0, 300));
  const segment = (await asked(node)) - before;
  assert.equal(segment, 1, `60 viewers of one cold segment: ${segment} requests at the node`);
  let answers = 0;
  await throng(VIEWERS, async () => {
    for (const name of [...lists, ...files]) {
      const { status } = await fetchRaw(front.base + name);
      assert.equal(status, 200, name);
      answers += 1;
    }
  });
  const origin = (await asked(node)) - before;
  // Playlists may lapse and be asked for again; segments never.
  assert.ok(origin <= (lists.length + files.length) * 2, `${origin} requests at the node`);
  say(
    `${front.name}: ${VIEWERS} viewers, ${answers} answers, ${origin} requests at the node for ` +
      `${lists.length + files.length} objects; hit rate ${(100 - (100 * origin) / answers).toFixed(2)} %`,
  );
  const checks = await lintThrough(front, master);
  const name = front.base + files.at(-1);
  const whole = await fetchRaw(name);
  const part = await fetchRaw(name, { range: "bytes=100-199" });
  assert.equal(part.status, 206);
  assert.deepEqual(part.bytes, whole.bytes.subarray(100, 200));
  const suffix = await fetchRaw(name, { range: "bytes=-77" });
  assert.deepEqual(suffix.bytes, whole.bytes.subarray(-77));
  assert.equal((await fetchRaw(name, { range: `bytes=${whole.bytes.length}-` })).status, 416);
  const again = await fetchRaw(name, { "if-none-match": whole.headers.etag });
  assert.equal(again.status, 304);
  assert.equal(whole.headers["access-control-allow-origin"], "*");
  const packed = await fetchRaw(front.base + master, { "accept-encoding": "gzip" });
  const plain = await fetchRaw(front.base + master);
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.equal(plain.headers["content-encoding"], undefined);
  say(`${front.name}: ${checks} checks of HLS hold; ranges, validators, CORS and both encodings are right`);
  return { lists, files };
}

async function outage(front, node, { lists, files }, unseen) {
  await stop(node.child, "SIGKILL");
  await sleep(3000);
  let served = 0;
  for (const name of [...lists, ...files]) {
    const { status } = await fetchRaw(front.base + name);
    assert.equal(status, 200, `${name} while the node is away`);
    served += 1;
  }
  const { status } = await fetchRaw(front.base + unseen);
  assert.ok(status >= 502 && status <= 504, `an unseen segment while the node is away: ${status}`);
  say(`${front.name}: the node is dead: ${served} of ${served} objects that were seen are served, an unseen one answers ${status}`);
}

async function publicPlayback(reel) {
  for (const open of [nginx, varnish]) {
    let node = await startNode("public", "", open === nginx ? reel : null);
    const front = await open(node);
    const seen = await common(front, node, node.video.hls_url);
    const unseen = (await journey(node.base, node.video.hls_url, "360p")).files[0].replace(/-[0-9a-f]+\./, "-0123456789abcdef.");
    await outage(front, node, seen, unseen);
    await stop(front.child);
  }
}

async function grantFor(node) {
  const response = await fetch(`${node.base}/api/v1/videos/${node.video.id}/grant`, { method: "POST" });
  assert.equal(response.status, 200);
  return response.json();
}

async function privatePlayback(reel) {
  const node = await startNode("private", 'private = true\nsignature = "nginx-md5"\ngrant_life = "1min"', reel);
  assert.equal((await fetchRaw(node.base + node.video.hls_url)).status, 403);
  const grant = await until("a grant is given", () => grantFor(node), 30);
  const [secret] = JSON.parse((await fetchRaw(`${node.base}/api/v1/delivery/keys`)).bytes);
  for (const open of [nginx, varnish]) {
    const front = await open(node, secret);
    const master = path((await grantFor(node)).hls_url);
    await common(front, node, master);
    assert.equal((await fetchRaw(front.base + node.video.hls_url)).status, 403, "without a grant");
    const forged = master.replace(/\.[\w-]+\/(?=[0-9a-f-]{36})/, ".AAAAAAAAAAAAAAAAAAAAAA/");
    assert.notEqual(forged, master);
    assert.equal((await fetchRaw(front.base + forged)).status, 403, "with a forged grant");
    const later = master.replace(/s\/(\d+)\.(\d+)\./, (_, kid, exp) => `s/${kid}.${Number(exp) + 60}.`);
    assert.equal((await fetchRaw(front.base + later)).status, 403, "with an expiry that was not signed");
    say(`${front.name}: signed paths play; without, forged and prolonged are refused`);
    await stop(front.child);
  }
  const fronts = [await nginx(node, secret), await varnish(node)];
  const old = path(grant.hls_url);
  const wait = Date.parse(grant.expires_at) - Date.now() + 1500;
  for (const front of fronts) if (wait > 1500) await fetchRaw(front.base + old);
  if (wait > 0) await sleep(wait);
  for (const front of fronts) {
    assert.equal((await fetchRaw(front.base + old)).status, 403, `${front.name}: a grant that has lapsed`);
    await stop(front.child);
  }
  say("a grant that has lapsed opens nothing any more, also where it was cached");
  await stop(node.child);
}

let status = 0;
try {
  const reel = join(work, "reel.mp4");
  assert.equal(spawnSync(program, ["__reel", reel, "--seconds", "20"]).status, 0);
  await publicPlayback(reel);
  await privatePlayback(reel);
  say("all is well");
} catch (error) {
  status = 1;
  console.error(error);
  for (const child of children) console.error(child.log());
} finally {
  await Promise.all([...children].map((child) => stop(child)));
  agent.destroy();
  rmSync(work, { recursive: true, force: true });
}
process.exit(status);
