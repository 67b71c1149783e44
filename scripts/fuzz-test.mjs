// Sends damaged and cut-off files by the thousand to a node, and looks whether it minds.
//
//   node scripts/fuzz-test.mjs PROGRAM FOLDER [--files 1000] [--seed 1]
//
// FOLDER holds good files of every kind. In the end every upload has become a video that is ready
// or failed with a reason in words, no job waits or runs, the node has answered all along, and it
// holds no more memory than it should.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [program, folder, ...rest] = process.argv.slice(2);
if (!program || !folder) {
  console.error("usage: fuzz-test.mjs PROGRAM FOLDER [--files N] [--seed N]");
  process.exit(2);
}
const option = (name, fallback) => {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? fallback : rest[at + 1];
};
const wanted = Number(option("files", 1000));
/** A node of its own needs no more, however hostile what its workers read. */
const MEMORY_MAX = 512 << 20;
const UNDER_WAY = 12;

// mulberry32: small and seedable; every damage follows from the seed.
let state = Number(option("seed", 1));
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const below = (limit) => Math.floor(random() * limit);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

const work = await mkdtemp(join(tmpdir(), "reelmesh-fuzz-"));
const url = `http://127.0.0.1:${await freePort()}`;
const config = join(work, "cluster.toml");
await writeFile(
  config,
  `[render]\nstall_timeout = "20s"\nmax_attempts = 1\n[limits]\ndisk_reserve = "64MiB"\n[[node]]\nname = "fuzz"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:${await freePort()}"\n`,
);
const node = spawn(program, ["serve", "--config", config, "--data-dir", join(work, "data")], {
  stdio: ["ignore", "pipe", "pipe"],
});
let log = "";
const keep = (chunk) => (log = (log + chunk).slice(-20_000));
node.stdout.on("data", keep);
node.stderr.on("data", keep);
for (let waited = 0; ; waited += 100) {
  if (await fetch(`${url}/readyz`).then((r) => r.ok, () => false)) break;
  if (waited > 60_000 || node.exitCode !== null) throw new Error(`the node does not start:\n${log}`);
  await pause(100);
}

const sources = [];
for (const name of (await readdir(folder)).sort()) {
  const bytes = await readFile(join(folder, name)).catch(() => null);
  if (bytes && bytes.length > 0 && bytes.length < 4 << 20 && !name.endsWith(".tmp")) sources.push({ name, bytes });
}
if (sources.length === 0) throw new Error(`there is no file to damage in ${folder}`);

/** Cut, flipped, overwritten, doubled, or with a length that lies. */
const damaged = () => {
  const { name, bytes } = sources[below(sources.length)];
  let copy = Buffer.from(bytes);
  const kind = below(5);
  if (kind === 0) copy = copy.subarray(0, 1 + below(copy.length - 1));
  if (kind === 1) for (let n = 0; n < 1 + below(40); n += 1) copy[below(copy.length)] ^= 1 << below(8);
  if (kind === 2) {
    const at = below(copy.length);
    for (let n = at; n < Math.min(copy.length, at + 1 + below(2000)); n += 1) copy[n] = below(256);
  }
  if (kind === 3) {
    const [from, to] = [below(copy.length), below(copy.length)].sort((a, b) => a - b);
    copy = Buffer.concat([copy.subarray(0, to), copy.subarray(from)]);
  }
  if (kind === 4) {
    const at = below(Math.max(1, copy.length - 4));
    copy.writeUInt32BE([0, 1, 0x7fffffff, 0xffffffff][below(4)], Math.min(at, copy.length - 4));
  }
  return { name: `${kind}-${name}`, bytes: copy };
};

const send = async ({ name, bytes }) => {
  const answer = await fetch(`${url}/api/v1/uploads`, {
    method: "POST",
    headers: {
      "tus-resumable": "1.0.0",
      "upload-length": String(bytes.length),
      "upload-metadata": `filename ${Buffer.from(name).toString("base64")}`,
      "content-type": "application/offset+octet-stream",
    },
    body: bytes,
  });
  if (!answer.ok) throw new Error(`upload refused: ${answer.status} ${await answer.text()}`);
  return answer.headers.get("reelmesh-video-id");
};

const memory = async () => {
  const text = await readFile(`/proc/${node.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) << 10;
};

const outcomes = new Map();
let failures = 0;
let slowest = 0;
let highest = 0;
const complain = (text) => {
  failures += 1;
  console.error(`FAILED: ${text}`);
};

/** Follows one file to its end. */
const follow = async () => {
  const file = damaged();
  const id = await send(file);
  const began = Date.now();
  for (;;) {
    const asked = Date.now();
    const video = await fetch(`${url}/api/v1/videos/${id}`).then((r) => r.json());
    slowest = Math.max(slowest, Date.now() - asked);
    if (video.status === "ready" || video.status === "failed") {
      const code = video.status === "ready" ? "ready" : video.error.code;
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
      if (video.status === "failed" && !/\w{3,}.*[.]$/s.test(video.error.message)) {
        complain(`${file.name} fails without words: ${JSON.stringify(video.error)}`);
      }
      break;
    }
    if (Date.now() - began > 300_000) {
      complain(`${file.name} has not come to an end in five minutes: ${video.status}`);
      await writeFile(join(tmpdir(), `fuzz-${file.name}`), file.bytes);
      break;
    }
    await pause(150);
  }
  await fetch(`${url}/api/v1/videos/${id}`, { method: "DELETE" });
};

let sent = 0;
const lane = async () => {
  while (sent < wanted && node.exitCode === null) {
    sent += 1;
    if (sent % 100 === 0) console.log(`${sent} of ${wanted}`);
    await follow();
    highest = Math.max(highest, await memory().catch(() => 0));
  }
};
await Promise.all(Array.from({ length: UNDER_WAY }, lane));

if (node.exitCode !== null) complain(`the node ended by itself:\n${log}`);
if (highest > MEMORY_MAX) complain(`the node held ${highest >> 20} MiB`);
const jobs = await fetch(`${url}/api/v1/jobs?state=running`).then((r) => r.json());
if (jobs.total > 0) complain(`${jobs.total} jobs still run`);
console.log(
  [...outcomes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`).join(", "),
);
console.log(`slowest answer ${slowest} ms, most memory of the node ${highest >> 20} MiB`);
const gone = once(node, "exit");
node.kill("SIGTERM");
await gone;
await rm(work, { recursive: true });
process.exit(failures === 0 ? 0 : 1);
