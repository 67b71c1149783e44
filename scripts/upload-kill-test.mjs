// Kills client, node, or both (SIGKILL) at random moments of uploads, and counts what is sent twice.
//
//   node scripts/upload-kill-test.mjs PROGRAM [--kills 500] [--seed 1] [--mib 96]
//
// In the end every file's hash in the catalogue is that of its source. No chunk that was acknowledged
// is sent again, and what was under way at a kill is at most one chunk a stream.

import { spawn } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [program, ...rest] = process.argv.slice(2);
if (!program) {
  console.error("usage: upload-kill-test.mjs PROGRAM [--kills N] [--seed N] [--mib N]");
  process.exit(2);
}
const option = (name, fallback) => {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(rest[at + 1]);
};
const kills = option("kills", 500);
const size = option("mib", 96) << 20;
const CHUNK = 4 << 20;
const STREAMS = 12;

// mulberry32: small, seedable; who is killed when follows from the seed.
let state = option("seed", 1);
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const between = (low, high) => Math.round(low + random() * (high - low));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

// Below the ports that the kernel gives to connections: a node that is down for a moment must find
// its own free again.
const freePort = async () => {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await new Promise((resolve) => {
      server.once("listening", () => resolve(true));
      server.once("error", () => resolve(false));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
};

let failures = 0;
const complain = (text) => {
  failures += 1;
  console.error(`FAILED: ${text}`);
};

const work = await mkdtemp(join(tmpdir(), "reelmesh-upload-kill-"));
const url = `http://127.0.0.1:${await freePort()}`;
const config = join(work, "cluster.toml");
// A worker that looks into noise would only take the processor from what is tested.
await writeFile(
  config,
  `[limits]\ndisk_reserve = "64MiB"\n[[node]]\nname = "kill"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:${await freePort()}"\n`,
);

let log = "";
let node = null;
// As a supervisor does: a worker that was being started when the node was killed may hold the ports
// for a moment longer.
const startNode = async () => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await tryToStart();
      return;
    } catch (error) {
      if (attempt === 10 || !String(error).includes("Address already in use")) throw error;
      totals.retries += 1;
      await pause(200);
    }
  }
};
const tryToStart = async () => {
  log = "";
  node = spawn(program, ["serve", "--config", config, "--data-dir", join(work, "data")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const keep = (chunk) => (log = (log + chunk).slice(-2_000));
  node.stdout.on("data", keep);
  node.stderr.on("data", keep);
  const started = node;
  for (let waited = 0; waited < 30_000; waited += 20) {
    if (started.exitCode !== null) throw new Error(`the node ended by itself:\n${log}`);
    if (await fetch(`${url}/readyz`).then((r) => r.ok, () => false)) return;
    await pause(20);
  }
  throw new Error(`the node is not ready after 30 s:\n${log}`);
};
// What a client that is killed had begun to send follows from what it had read of the file: the first
// and the last chunk to know the file by, then each chunk that it sends.
const killClient = async () => {
  if (!client || client.exitCode !== null || client.signalCode !== null) return;
  client.kill("SIGSTOP");
  const io = await readFile(`/proc/${client.pid}/io`, "latin1").catch(() => "");
  const read = Number(/rchar: (\d+)/.exec(io)?.[1] ?? 0);
  await kill(client);
  const chunks = Math.floor(read / CHUNK) - 2;
  // Behind the last chunk it reads the file again for its hash.
  file.begunBefore += Math.min(Math.max(0, chunks) * CHUNK, size - (file.resumed ?? 0) + STREAMS * CHUNK);
};
const kill = async (child) => {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
};

// One upload at a time, watched through its events.
const totals = { files: 0, kills: { client: 0, node: 0, both: 0 }, twice: 0, worst: 0, resumptions: 0, retries: 0 };
let file = null;
const newFile = async () => {
  const bytes = Buffer.allocUnsafe(size);
  randomFillSync(bytes);
  totals.files += 1;
  const path = join(work, `file-${totals.files}.bin`);
  await writeFile(path, bytes);
  return { path, sha256: sha256(bytes), acknowledged: 0, begunBefore: 0, done: null };
};
let client = null;
const startClient = () => {
  const child = spawn(program, ["upload", "--json", "--to", url, file.path], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  client = child;
  const mine = file;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = JSON.parse(line);
    if (event.event === "opened") {
      // What is there again, of what was acknowledged before: never less.
      if (event.resumed_bytes < mine.acknowledged) {
        complain(`${mine.acknowledged} bytes were acknowledged, ${event.resumed_bytes} are there`);
      }
      // Of what was begun since the last time, that which is not there now is sent twice.
      const begun = mine.begunBefore + event.sent_bytes;
      if (mine.opened) {
        totals.resumptions += 1;
        const twice = begun - mine.begun - (event.resumed_bytes - mine.resumed);
        totals.twice += Math.max(0, twice);
        totals.worst = Math.max(totals.worst, twice);
        if (twice > STREAMS * CHUNK) complain(`${twice} bytes are sent twice after one kill`);
      }
      mine.begun = begun;
      mine.resumed = event.resumed_bytes;
      mine.opened = true;
    } else if (event.event === "progress") {
      mine.acknowledged = Math.max(mine.acknowledged, event.stored_bytes);
    } else if (event.event === "uploaded") {
      mine.done = event;
    } else if (event.error) {
      mine.error = event.error;
    }
  });
};

const check = async (done) => {
  const answer = await fetch(`${url}/api/v1/videos/${done.done.video}/original`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (sha256(bytes) !== done.sha256) complain(`${done.path}: the original differs from its source`);
  await fetch(`${url}/api/v1/videos/${done.done.video}`, { method: "DELETE" });
  await rm(done.path);
};

try {
  await startNode();
  file = await newFile();
  startClient();
  for (let round = 0; round < kills; round += 1) {
    await pause(between(5, 400));
    if (file.done) {
      const done = file;
      await check(done);
      file = await newFile();
      startClient();
      await pause(between(5, 250));
    }
    const who = ["client", "node", "both"][Math.floor(random() * 3)];
    totals.kills[who] += 1;
    if (who !== "node") await killClient();
    if (who !== "client") {
      await kill(node);
      await startNode();
    }
    if (client.exitCode !== null || client.signalCode !== null) {
      if (!file.done) startClient();
    }
    if ((round + 1) % 50 === 0) console.log(`  ${round + 1} kills, ${totals.files} files`);
  }
  const deadline = Date.now() + 120_000;
  while (!file.done && Date.now() < deadline) {
    if (client.exitCode !== null || client.signalCode !== null) startClient();
    await pause(50);
  }
  if (file.done) await check(file);
  else complain(`the last file did not arrive: ${JSON.stringify(file.error)}`);
} catch (error) {
  complain(`${error.stack}\n${log}`);
} finally {
  await kill(client);
  await kill(node);
  await rm(work, { recursive: true, force: true });
}
console.log(
  `upload-kill-test: ${kills} kills (${JSON.stringify(totals.kills)}), ${totals.files} files of ${size >> 20} MiB, ` +
    `${totals.resumptions} resumptions, ${(totals.twice / 2 ** 20).toFixed(0)} MiB sent twice, ` +
    `${(totals.worst / 2 ** 20).toFixed(0)} MiB at worst after one kill, ${failures} failed`,
);
process.exit(failures === 0 ? 0 : 1);
