// Uploads over HTTP beside npm's @tus/server, the same client (curl) against both in turn: throughput of one PATCH,
// the time to take over from a connection that hangs, and the node's memory while 200 clients upload at once.
//
//   node scripts/bench-tus.mjs PROGRAM [MIB] [RUNS]
//
// @tus/server comes from $CLIENTS/node_modules (default target/clients; installed from npm if it is not there).
// Ours hashes, syncs and verifies before it answers; @tus/server does none of these.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync, existsSync } from "node:fs";
import { randomBytes } from "node:crypto";
import net from "node:net";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [program, mib = "512", runs = "5"] = process.argv.slice(2);
if (!program) {
  console.error("usage: bench-tus.mjs PROGRAM [MIB] [RUNS]");
  process.exit(2);
}
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const clients = path.resolve(process.env.CLIENTS ?? path.join(root, "target/clients"));
const MIB = 1024 * 1024;
const AT_ONCE = 200;

if (!existsSync(path.join(clients, "node_modules/@tus/server"))) {
  console.log(`Installing @tus/server from npm into ${clients}`);
  mkdirSync(clients, { recursive: true });
  if (!existsSync(path.join(clients, "package.json")))
    writeFileSync(path.join(clients, "package.json"), '{ "private": true }');
  const packages = ["@tus/server@2", "@tus/file-store@2"];
  const npm = ["install", "--prefix", clients, "--no-audit", "--no-fund", "--silent", ...packages];
  if (spawnSync("npm", npm, { stdio: "inherit" }).status !== 0) process.exit(1);
}

const work = mkdtempSync(path.join(os.tmpdir(), "reelmesh-tus-"));
const children = [];
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const ours = await startNode();
const theirs = await startTusServer();
await throughput();
await takeOver();
await memory();
process.exit(0);

function freePort() {
  return new Promise((yes) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => yes(port));
    });
  });
}

async function startNode() {
  const port = await freePort();
  const config = path.join(work, "cluster.toml");
  writeFileSync(config, `[[node]]\nname = "bench"\nhttp = "127.0.0.1:${port}"\nquic = "127.0.0.1:0"\n`);
  const log = openSync(path.join(work, "node.log"), "a");
  const child = spawn(program, ["serve", "--config", config, "--data-dir", path.join(work, "data")], {
    stdio: ["ignore", log, log],
    env: { ...process.env, REELMESH_LOG: "warn" },
  });
  children.push(child);
  await ready(`http://127.0.0.1:${port}/readyz`, child);
  return { name: "reelmesh", port, url: `http://127.0.0.1:${port}/api/v1/uploads`, pid: child.pid };
}

async function startTusServer() {
  const port = await freePort();
  const script = path.join(clients, "bench-tus-server.mjs");
  writeFileSync(
    script,
    'import { Server } from "@tus/server"; import { FileStore } from "@tus/file-store";\n' +
      "const [port, directory] = process.argv.slice(2);\n" +
      'new Server({ path: "/files", datastore: new FileStore({ directory }) }).listen({ host: "127.0.0.1", port });\n',
  );
  const files = path.join(work, "files");
  mkdirSync(files);
  const child = spawn(process.execPath, [script, String(port), files], { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  await ready(`http://127.0.0.1:${port}/files`, child, "OPTIONS");
  return { name: "@tus/server", port, url: `http://127.0.0.1:${port}/files`, pid: child.pid };
}

async function ready(url, child, method = "GET") {
  for (let tries = 0; tries < 200; tries += 1) {
    if (child.exitCode !== null) break;
    const answer = await fetch(url, { method }).catch(() => null);
    if (answer?.ok) return;
    await new Promise((yes) => setTimeout(yes, 100));
  }
  console.error(`${url} does not answer`);
  process.exit(1);
}

async function create(server, bytes) {
  const answer = await fetch(server.url, {
    method: "POST",
    headers: {
      "Tus-Resumable": "1.0.0",
      "Upload-Length": String(bytes),
      "Upload-Metadata": `filename ${Buffer.from(`bench-${bytes}.bin`).toString("base64")}`,
    },
  });
  if (answer.status !== 201) throw new Error(`${server.name} answers ${answer.status} to POST`);
  return new URL(answer.headers.get("location"), server.url).href;
}

async function throughput() {
  const file = path.join(work, "source.bin");
  const out = openSync(file, "w");
  const megabyte = randomBytes(MIB);
  for (let at = 0; at < Number(mib); at += 1) {
    // Every megabyte differs, or a file system that shares blocks would make it too easy.
    megabyte.writeUInt32LE(at, 0);
    writeSync(out, megabyte);
  }
  const bytes = Number(mib) * MIB;
  const rates = new Map([[ours, []], [theirs, []]]);
  for (let run = 0; run < Number(runs); run += 1) {
    for (const server of rates.keys()) {
      const url = await create(server, bytes);
      const curl = spawnSync("curl", [
        "-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "-X", "PATCH", "-T", file,
        "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Offset: 0",
        "-H", "Content-Type: application/offset+octet-stream", "-H", "Expect:", url,
      ]);
      const [status, seconds] = String(curl.stdout).split(" ");
      if (status !== "204") throw new Error(`${server.name} answers ${status} to PATCH: ${curl.stderr}`);
      rates.get(server).push(bytes / 1e6 / Number(seconds));
      if (server === ours) await forget();
      else rmSync(path.join(work, "files"), { recursive: true }), mkdirSync(path.join(work, "files"));
    }
  }
  rmSync(file);
  console.log(`one PATCH of ${mib} MiB by curl, median of ${runs}, in turn:`);
  for (const [server, each] of rates) {
    const list = each.map((rate) => Math.round(rate)).join(" ");
    console.log(`  ${server.name.padEnd(12)} ${Math.round(median(each))} MB/s   (${list})`);
  }
  console.log(`  ratio        ${(median(rates.get(ours)) / median(rates.get(theirs))).toFixed(2)}`);
}

/** Deletes all videos, so that the disk does not fill up. */
async function forget() {
  const api = ours.url.replace("/uploads", "/videos");
  const { items } = await (await fetch(api)).json();
  for (const { id } of items) await fetch(`${api}/${id}`, { method: "DELETE" });
}

/** A connection that hangs in the middle of a PATCH; how long until another has written behind it. */
async function takeOver() {
  const took = [];
  for (let round = 0; round < 20; round += 1) {
    const url = new URL(await create(ours, 4 * MIB));
    const hanging = net.connect(ours.port, "127.0.0.1");
    // It is cut off by the node sooner or later, which is no error here.
    hanging.on("error", () => {});
    hanging.write(
      `PATCH ${url.pathname} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n` +
        `Content-Type: application/offset+octet-stream\r\nContent-Length: ${4 * MIB}\r\n\r\n`,
    );
    hanging.write(randomBytes(MIB));
    await new Promise((yes) => setTimeout(yes, 100));
    const began = performance.now();
    const headers = { "Tus-Resumable": "1.0.0" };
    const head = await fetch(url, { method: "HEAD", headers });
    const offset = head.headers.get("upload-offset");
    const patch = await fetch(url, {
      method: "PATCH",
      headers: { ...headers, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" },
      body: randomBytes(1000),
    });
    if (patch.status !== 204) throw new Error(`taking over is answered ${patch.status}`);
    took.push(performance.now() - began);
    if (Number(offset) !== MIB) console.log(`  (kept ${offset} of ${MIB} bytes)`);
    hanging.destroy();
    await fetch(url, { method: "DELETE", headers });
  }
  const slowest = Math.max(...took);
  console.log(
    `stale lock: HEAD and PATCH past a hanging connection, 20 times: median ${median(took).toFixed(1)} ms, ` +
      `slowest ${slowest.toFixed(1)} ms`,
  );
}

/** 200 clients, each a slow PATCH of 8 MiB; twice, since what grows from round to round leaks. */
async function memory() {
  const agent = new http.Agent({ keepAlive: false, maxSockets: Infinity });
  const idle = rss();
  const peaks = [];
  for (let round = 0; round < 3; round += 1) {
    let peak = 0;
    const look = setInterval(() => (peak = Math.max(peak, rss())), 50);
    const urls = await Promise.all(Array.from({ length: AT_ONCE }, () => create(ours, 8 * MIB)));
    await Promise.all(urls.map((url) => drip(url, agent)));
    clearInterval(look);
    peaks.push(peak);
    await forget();
  }
  console.log(
    `memory of the node: ${idle} MiB idle; ${peaks.join(", ")} MiB at most in three rounds of ` +
      `${AT_ONCE} uploads at once (8 MiB each)`,
  );
}

function drip(url, agent) {
  return new Promise((yes, no) => {
    const request = http.request(url, {
      agent,
      method: "PATCH",
      headers: {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": 8 * MIB,
      },
    });
    request.on("response", (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode === 204 ? yes() : no(new Error(`answers ${answer.statusCode}`))));
    });
    request.on("error", no);
    const piece = randomBytes(256 * 1024);
    let left = 8 * MIB;
    const more = () => {
      left -= piece.length;
      // Every client its own content: the same file twice would be one.
      piece.writeUInt32LE((Math.random() * 2 ** 32) >>> 0, 0);
      request.write(Buffer.from(piece), () => (left > 0 ? setTimeout(more, 20) : request.end()));
    };
    more();
  });
}

/** Resident memory of the node in MiB. */
function rss() {
  const status = readFileSync(`/proc/${ours.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
