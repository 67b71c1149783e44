// Kills the node (SIGKILL) at random moments while it takes uploads and renders, then looks for losses.
//
//   node scripts/kill-test.mjs PROGRAM [--kills 50] [--seed 1] [--file FILE]...
//
// In the end every upload has become a ready video, every original has the bytes of its source,
// and no playlist names an object that is missing or has another size.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [program, ...rest] = process.argv.slice(2);
if (!program) {
  console.error("usage: kill-test.mjs PROGRAM [--kills N] [--seed N] [--file FILE]...");
  process.exit(2);
}
const option = (name, fallback) => {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? fallback : rest[at + 1];
};
const kills = Number(option("kills", 50));
const seed = Number(option("seed", 1));
const given = rest.flatMap((word, at) => (word === "--file" ? [rest[at + 1]] : []));

// mulberry32: small, seedable; the moments of the kills follow from the seed.
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const between = (low, high) => Math.round(low + random() * (high - low));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

const work = await mkdtemp(join(tmpdir(), "reelmesh-kill-"));
const url = `http://127.0.0.1:${await freePort()}`;
const config = join(work, "cluster.toml");
await writeFile(
  config,
  `[limits]\ndisk_reserve = "64MiB"\n[[node]]\nname = "kill-test"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:${await freePort()}"\n`,
);

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
let failures = 0;
const complain = (text) => {
  failures += 1;
  console.error(`FAILED: ${text}`);
};

let log = "";
let node;
const startNode = async () => {
  node = spawn(program, ["serve", "--config", config, "--data-dir", join(work, "data")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const keep = (chunk) => (log = (log + chunk).slice(-20_000));
  node.stdout.on("data", keep);
  node.stderr.on("data", keep);
  const started = node;
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (started.exitCode !== null) throw new Error(`the node ended by itself:\n${log}`);
    if (await fetch(`${url}/readyz`).then((r) => r.ok, () => false)) return;
    await pause(50);
  }
  throw new Error(`the node is not ready after 30 s:\n${log}`);
};
const killNode = async () => {
  const gone = once(node, "exit");
  node.kill("SIGKILL");
  await gone;
};

// Clients: one a file; killed sometimes, started again until they end well.
const clients = new Map();
const startClient = (file) => {
  const client = spawn(program, ["upload", "--json", "--to", url, file], { stdio: "ignore" });
  clients.set(file, client);
  client.on("exit", (code) => {
    if (clients.get(file) === client) clients.set(file, code === 0 ? "done" : null);
  });
};
const tendClients = () => {
  for (const [file, client] of clients) if (client === null) startClient(file);
};

const makeReel = async (number) => {
  const file = join(work, `reel-${number}.mp4`);
  const maker = spawn(program, ["__reel", file, "--seconds", "4"], { stdio: "ignore" });
  const [code] = await once(maker, "exit");
  if (code !== 0) throw new Error("cannot make a reel");
  // Bytes after the last box are ignored by players; they make every file and its hash unique,
  // and large enough that kills fall into uploads too.
  const free = Buffer.alloc(between(20, 60) << 20);
  for (let at = 0; at < free.length; at += 4) free.writeUInt32LE((random() * 2 ** 32) >>> 0, at);
  free.writeUInt32BE(free.length, 0);
  free.write("free", 4, "latin1");
  await writeFile(file, Buffer.concat([await readFile(file), free]));
  return file;
};

try {
  const files = given.length > 0 ? given : await Promise.all([1, 2, 3].map(makeReel));
  console.log(`${files.length} files, ${kills} kills, seed ${seed}`);
  for (let round = 0; round < kills; round += 1) {
    await startNode();
    const begin = Math.floor((round * files.length) / Math.max(1, Math.floor(kills / 2)));
    const file = files[begin];
    if (file && !clients.has(file)) clients.set(file, null);
    tendClients();
    await pause(between(20, 2500));
    if (random() < 0.25) {
      for (const client of clients.values()) client?.kill?.("SIGKILL");
    }
    await killNode();
    if ((round + 1) % 10 === 0) console.log(`  ${round + 1} kills`);
  }

  await startNode();
  for (const file of files) if (!clients.has(file)) clients.set(file, null);
  const deadline = Date.now() + 600_000;
  let videos = [];
  for (;;) {
    tendClients();
    videos = (await (await fetch(`${url}/api/v1/videos?limit=200`)).json()).items;
    const uploaded = [...clients.values()].every((client) => client === "done");
    const settled = videos.every((video) => ["ready", "failed"].includes(video.status));
    if (uploaded && settled) break;
    if (Date.now() > deadline) {
      complain(`not done after ten minutes: ${JSON.stringify(videos.map((v) => [v.filename, v.status]))}`);
      break;
    }
    await pause(300);
  }

  let objects = 0;
  for (const file of files) {
    const name = file.split("/").pop();
    const source = await readFile(file);
    const video = videos.find((video) => video.filename === name && video.status === "ready");
    if (!video) {
      complain(`${name} did not become ready: ${JSON.stringify(videos.find((v) => v.filename === name)?.error)}`);
      continue;
    }
    const original = await fetch(`${url}/api/v1/videos/${video.id}/original`);
    if (sha256(Buffer.from(await original.arrayBuffer())) !== sha256(source)) {
      complain(`${name}: the original differs from its source`);
    }
    // Walk every playlist; every name in it must answer.
    const queue = [new URL(video.hls_url, url).href];
    const seen = new Set();
    while (queue.length > 0) {
      const object = queue.pop();
      if (seen.has(object)) continue;
      seen.add(object);
      const answer = await fetch(object);
      const body = Buffer.from(await answer.arrayBuffer());
      objects += 1;
      if (!answer.ok) {
        complain(`${object} answers ${answer.status}`);
      } else if (body.length === 0 || body.length !== Number(answer.headers.get("content-length") ?? body.length)) {
        complain(`${object} has ${body.length} bytes`);
      } else if (object.endsWith(".m3u8")) {
        const text = body.toString();
        const uris = [...text.matchAll(/URI="([^"]+)"/g)].map((match) => match[1]);
        const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
        for (const uri of [...uris, ...lines]) queue.push(new URL(uri, object).href);
        if (lines.length > 0 && !lines[0].endsWith(".m3u8") && !text.includes("#EXT-X-ENDLIST")) {
          complain(`${object} has no end`);
        }
      } else {
        // An object whose name carries its hash is checked by size alone here; the node serves it by that name.
      }
    }
  }
  console.log(`${objects} objects looked at, ${videos.length} videos`);
  node.kill("SIGTERM");
  const [code] = await once(node, "exit");
  if (code !== 0) complain(`the node ends with ${code} when asked to stop:\n${log}`);
} catch (error) {
  complain(error.stack);
  console.error(log);
  node?.kill("SIGKILL");
} finally {
  for (const client of clients.values()) client?.kill?.("SIGKILL");
  await rm(work, { recursive: true, force: true });
}
console.log(`kill-test: ${kills} kills, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
