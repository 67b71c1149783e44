// Looks every second, through all faults, whether any published playlist names a missing segment.
//
//   node scripts/crawl-test.mjs PROGRAM [--minutes 5] [--seed 1] [--origin s3|folder]
//
// A node publishes into an S3 server (s3s-fs, whose bucket is a folder) or into a folder, while
// files are uploaded and videos deleted without end. Node and server are killed (SIGKILL) at random
// moments and brought back; once, the server is away for a whole minute. The crawler reads every
// playlist in the bucket itself, so it sees what a player or a CDN would, also while everything else
// is dead. In the end every video that was not deleted is ready, and all that it names is there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const [program, ...rest] = process.argv.slice(2);
if (!program) {
  console.error("usage: crawl-test.mjs PROGRAM [--minutes N] [--seed N] [--origin s3|folder]");
  process.exit(2);
}
const option = (name, fallback) => {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? fallback : rest[at + 1];
};
const minutes = Number(option("minutes", 5));
const seed = Number(option("seed", 1));
const kind = option("origin", "s3");

// mulberry32: small, seedable; the moments of the faults follow from the seed.
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const between = (low, high) => Math.round(low + random() * (high - low));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

const work = await mkdtemp(join(tmpdir(), "reelmesh-crawl-"));
const url = `http://127.0.0.1:${await freePort()}`;
const bucket = join(work, "store", "films");
await mkdir(bucket, { recursive: true });
const storePort = await freePort();
const config = join(work, "cluster.toml");
const origin =
  kind === "s3"
    ? `url = "s3://films"\nendpoint = "http://127.0.0.1:${storePort}"\nconditional_put = "etag"\n`
    : `url = "file://${bucket}"\n`;
await writeFile(
  config,
  `[origin]\n${origin}retired_grace = "1min"\nrequest_timeout = "5s"\n[render]\nladder = [{ height = 180, video_kbps = 300 }, { height = 90, video_kbps = 100 }]\nsegment = "2s"\ngop = "1s"\n[limits]\ndisk_reserve = "64MiB"\n[[node]]\nname = "crawl-test"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:${await freePort()}"\n`,
);

let failures = 0;
const complain = (text) => {
  failures += 1;
  console.error(`FAILED: ${text}`);
};
const began = Date.now();
const say = (text) => console.log(`${String(Math.round((Date.now() - began) / 1000)).padStart(4)} s  ${text}`);

let log = "";
const keep = (chunk) => (log = (log + chunk).slice(-20_000));
const children = { node: null, store: null };
const start = (name) => {
  const env = { ...process.env, AWS_ACCESS_KEY_ID: "A", AWS_SECRET_ACCESS_KEY: "S" };
  const child =
    name === "node"
      ? spawn(program, ["serve", "--config", config, "--data-dir", join(work, "data")], { env })
      : spawn(resolve("target/tools/bin/s3s-fs"), ["--host", "127.0.0.1", "--port", String(storePort), "--access-key", "A", "--secret-key", "S", join(work, "store")]);
  if (name === "node") child.stdout.on("data", keep), child.stderr.on("data", keep);
  else child.stdout.resume(), child.stderr.resume();
  children[name] = child;
};
const kill = async (name) => {
  const child = children[name];
  if (child.exitCode !== null || child.signalCode !== null) complain(`${name} ended by itself:\n${log}`);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
};
const answers = (path) => fetch(`${url}${path}`, { signal: AbortSignal.timeout(5000) });
const ready = async () => {
  for (let waited = 0; waited < 60_000; waited += 100) {
    if (await answers("/readyz").then((r) => r.ok, () => false)) return;
    await pause(100);
  }
  throw new Error(`the node is not ready after a minute:\n${log}`);
};

// What a playlist names. The last line counts only if it is whole: a server may be killed in it.
const named = (text) => {
  const lines = text.split("\n").slice(0, -1);
  const uris = [...lines.join("\n").matchAll(/URI="([^"]+)"/g)].map((match) => match[1]);
  return [...uris, ...lines.filter((line) => line !== "" && !line.startsWith("#"))];
};
const walk = async (folder) => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(entries.map((entry) => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)])));
  return found.flat();
};
const seen = { looks: 0, playlists: 0, names: 0, growing: new Set(), dangling: 0, masters: new Set() };
const crawl = async () => {
  seen.looks += 1;
  for (const file of await walk(bucket)) {
    if (!file.endsWith(".m3u8")) continue;
    const text = await readFile(file, "utf8").catch(() => null);
    // Deleted between the list and the look.
    if (text === null) continue;
    seen.playlists += 1;
    if (text.includes("#EXTINF") && !text.includes("#EXT-X-ENDLIST")) seen.growing.add(file);
    if (file.endsWith("master.m3u8")) seen.masters.add(file);
    for (const name of named(text)) {
      seen.names += 1;
      const target = join(dirname(file), name);
      if ((await stat(target).catch(() => null))?.size > 0) continue;
      // A playlist that went meanwhile took its names with it.
      if (!existsSync(file)) continue;
      seen.dangling += 1;
      complain(`${file.slice(bucket.length)} names ${name}, which is not there`);
    }
  }
};

// The same through the node: what was walked once while all was well is in its cache.
const viewing = async (master) => {
  const queue = [new URL(master, url).href];
  const objects = new Set();
  while (queue.length > 0) {
    const object = queue.pop();
    if (objects.has(object)) continue;
    objects.add(object);
    const answer = await fetch(object, { signal: AbortSignal.timeout(10_000) });
    const body = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok) return { ok: false, why: `${object} answers ${answer.status}`, count: objects.size };
    if (object.endsWith(".m3u8")) for (const name of named(body.toString())) queue.push(new URL(name, object).href);
  }
  return { ok: true, count: objects.size };
};

const makeReel = async (number) => {
  const file = join(work, `reel-${number}.mp4`);
  const maker = spawn(program, ["__reel", file, "--seconds", "8"], { stdio: "ignore" });
  const [code] = await once(maker, "exit");
  if (code !== 0) throw new Error("cannot make a reel");
  return file;
};
let uploads = 0;
let uploading = null;
const base = await readFile(await makeReel(0));
const upload = async () => {
  // Bytes after the last box are ignored by players; they make every file another one.
  const free = Buffer.alloc(4096);
  free.writeUInt32BE(free.length, 0);
  free.write("free", 4, "latin1");
  free.writeUInt32BE((uploads += 1), 8);
  const file = join(work, `film-${uploads}.mp4`);
  await writeFile(file, Buffer.concat([base, free]));
  for (;;) {
    const client = spawn(program, ["upload", "--json", "--to", url, file], { stdio: "ignore" });
    const [code] = await once(client, "exit");
    if (code === 0) break;
    await pause(500);
  }
  await rm(file);
};
const videos = async () => (await (await answers("/api/v1/videos?limit=200")).json()).items;

const deleted = new Set();
const faults = { node: 0, store: 0, outage: 0 };
let stopping = false;
try {
  if (kind === "s3") start("store");
  start("node");
  await ready();
  const crawler = (async () => {
    while (!stopping) {
      const at = Date.now();
      await crawl();
      await pause(Math.max(0, 1000 - (Date.now() - at)));
    }
  })();
  const sender = (async () => {
    while (!stopping) {
      uploading = upload();
      await uploading;
      await pause(between(500, 3000));
    }
  })();
  const end = Date.now() + minutes * 60_000;
  let outage = kind === "s3" ? began + (minutes * 60_000) / 2 : Infinity;
  while (Date.now() < end) {
    await pause(between(1500, 9000));
    if (Date.now() > outage) {
      // A whole minute away: viewers of what is cached notice nothing, and nothing is lost.
      outage = Infinity;
      const film = (await videos()).find((video) => video.status === "ready");
      const before = film && (await viewing(film.hls_url));
      await kill("store");
      const until = Date.now() + 60_000;
      let looks = 0;
      while (Date.now() < until) {
        if (before?.ok) {
          const during = await viewing(film.hls_url);
          looks += 1;
          if (!during.ok || during.count !== before.count) complain(`a viewer of a cached video noticed the outage: ${during.why}`);
        }
        await pause(2000);
      }
      const health = await (await answers("/readyz")).json();
      if (!health.ready || !health.warnings?.[0]?.includes("origin")) complain(`/readyz does not tell of the outage: ${JSON.stringify(health)}`);
      start("store");
      faults.outage += 1;
      say(`the store was away for a minute; a cached video of ${before?.count ?? 0} objects was watched ${looks} times meanwhile`);
      say(`  ${health.warnings?.[0]}`);
      continue;
    }
    const dice = random();
    if (dice < 0.45) {
      await kill("node");
      start("node");
      await ready();
      faults.node += 1;
    } else if (dice < 0.8 && kind === "s3") {
      await kill("store");
      await pause(between(100, 8000));
      start("store");
      faults.store += 1;
    } else {
      const all = await videos().catch(() => []);
      const victim = all.filter((video) => !deleted.has(video.id))[between(0, all.length)];
      if (victim) {
        const gone = await fetch(`${url}/api/v1/videos/${victim.id}`, { method: "DELETE", signal: AbortSignal.timeout(10_000) }).then((r) => r.ok, () => false);
        if (gone) deleted.add(victim.id);
      }
    }
  }
  stopping = true;
  await sender;
  say("no more faults: everything is to become ready");
  const deadline = Date.now() + 300_000;
  for (;;) {
    const all = await videos();
    if (all.every((video) => ["ready", "failed"].includes(video.status))) break;
    if (Date.now() > deadline) {
      complain(`not done after five minutes: ${JSON.stringify(all.map((v) => [v.filename, v.status]))}\n${log}`);
      break;
    }
    await pause(1000);
  }
  await crawler;
  await crawl();
  let watched = 0;
  for (const video of await videos()) {
    if (video.status !== "ready") complain(`${video.filename} is ${video.status}: ${JSON.stringify(video.error)}`);
    else {
      const seenHere = await viewing(video.hls_url);
      watched += seenHere.count;
      if (!seenHere.ok) complain(seenHere.why);
    }
  }
  say(`${uploads} uploads, ${deleted.size} deleted; ${faults.node} kills of the node, ${faults.store} of the store, ${faults.outage} long outages`);
  say(`${seen.looks} looks, ${seen.playlists} playlists read, ${seen.names} names looked up, ${seen.growing.size} playlists seen growing, ${watched} objects watched in the end`);
  say(`${seen.dangling} dangling references`);
  if (seen.masters.size === 0) complain("nothing was published, so nothing was looked at");
  children.node.kill("SIGTERM");
  await once(children.node, "exit");
} catch (error) {
  complain(error.stack);
  console.error(log);
} finally {
  stopping = true;
  for (const child of Object.values(children)) child?.kill("SIGKILL");
  await rm(work, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`crawl-test: ${minutes} minutes, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
