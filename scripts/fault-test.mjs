// Breaks a cluster of three real nodes in every way there is, while writers write, and looks for
// losses; says how long writers had to wait.
//
//   node scripts/fault-test.mjs PROGRAM [--seed 1] [--rounds 20] [--only NAME,NAME]
//
// It runs in namespaces of its own (network, mounts), so that nothing is left behind: each node has
// an ext4 of its own on a loop device, and what the nodes say to each other goes through a relay
// that loses, delays and cuts as a seed decides. Needs root.

import { execFile, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const [program, ...rest] = process.argv.slice(2);
if (!program) {
  console.error("usage: fault-test.mjs PROGRAM [--seed N] [--rounds N] [--only NAME,NAME]");
  process.exit(2);
}
const option = (name, fallback) => {
  const at = rest.indexOf(`--${name}`);
  return at < 0 ? fallback : rest[at + 1];
};
const seed = Number(option("seed", 1));
const rounds = Number(option("rounds", 20));
const only = option("only", "")?.split(",").filter(Boolean);

if (!process.env.REELMESH_FAULT_INSIDE) {
  const tools = ["unshare", "ip", "mkfs.ext4", "mount", "perl"];
  const missing = tools.filter((tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0);
  if (process.getuid() !== 0) missing.push("root");
  else if (spawnSync("unshare", ["--mount", "--net", "true"]).status !== 0) missing.push("namespaces");
  else if (spawnSync("losetup", ["--find"]).status !== 0) missing.push("loop devices");
  if (missing.length > 0) {
    console.error(`!! SKIPPED: the fault test needs ${missing.join(", ")}`);
    process.exit(3);
  }
  const inside = spawn(
    "unshare",
    ["--mount", "--net", "--propagation", "private", process.execPath, ...process.argv.slice(1)],
    { stdio: "inherit", env: { ...process.env, REELMESH_FAULT_INSIDE: "1" } },
  );
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => inside.kill("SIGTERM"));
  const [code] = await once(inside, "exit");
  process.exit(code ?? 1);
}

// mulberry32: small, seedable.
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Never the blocking kind: the relay lives in this process.
const sh = async (...words) => (await promisify(execFile)(words[0], words.slice(1))).stdout;

let failures = 0;
const complain = (text) => {
  failures += 1;
  console.error(`FAILED: ${text}`);
};

await sh("ip", "link", "set", "lo", "up");
const work = mkdtempSync(join(tmpdir(), "reelmesh-fault-"));
const origin = join(work, "origin");
mkdirSync(origin);

// ---- the relay ------------------------------------------------------------------------------

const quicPort = (node) => 7444 + node;
const relayPort = (node) => 7544 + node;
const net = { cut: new Set(), loss: 0, delayMs: 0, jitterMs: 0 };

/** Takes a datagram on, or not, now or later. */
const pass = (from, to, send) => {
  if (net.cut.has(`${from}>${to}`) || random() < net.loss) return;
  const wait = net.delayMs + random() * net.jitterMs;
  if (wait < 1) send();
  else setTimeout(send, wait);
};

const relay = async (target) => {
  const door = createSocket("udp4");
  const flows = new Map();
  door.on("message", (data, { port }) => {
    const from = port - quicPort(0);
    let out = flows.get(port);
    if (!out) {
      out = createSocket("udp4");
      flows.set(port, out);
      out.on("message", (answer) =>
        pass(target, from, () => door.send(answer, port, "127.0.0.1", () => {})),
      );
      out.on("error", () => {});
    }
    pass(from, target, () => out.send(data, quicPort(target), "127.0.0.1", () => {}));
  });
  door.on("error", () => {});
  door.bind(relayPort(target), "127.0.0.1");
  await once(door, "listening");
};

// ---- the nodes ------------------------------------------------------------------------------

const url = (node) => `http://127.0.0.1:${8081 + node}`;
const folder = (node) => join(work, `disk-${node}`);
const config = join(work, "cluster.toml");
const ids = [0, 1, 2];
writeFileSync(
  config,
  [
    `[origin]\nurl = "file://${origin}"`,
    `[limits]\ndisk_reserve = "16MiB"`,
    ...ids.map(
      (node) =>
        `[[node]]\nname = "n${node}"\nhttp = "127.0.0.1:${8081 + node}"\nquic = "127.0.0.1:${quicPort(node)}"\n` +
        `peer = "127.0.0.1:${relayPort(node)}"\ndata_dir = "${folder(node)}/data"`,
    ),
  ].join("\n"),
);

const mountDisk = (node) => sh("mount", "-o", "loop", join(work, `disk-${node}.img`), folder(node));
const children = new Map();
const logFile = (node) => join(work, `n${node}.log`);
const logTail = (node) => readFileSync(logFile(node), "utf8").slice(-3000);

const serve = (node, token) => {
  const log = openSync(logFile(node), "a");
  const child = spawn(program, ["serve", "--config", config, "--node", `n${node}`], {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...(token ? { REELMESH_JOIN_TOKEN: token } : {}) },
  });
  closeSync(log);
  children.set(node, child);
};
const ask = (node, path, init = {}, within = 15_000) =>
  fetch(`${url(node)}${path}`, { ...init, signal: AbortSignal.timeout(within) });
const isReady = (node) => ask(node, "/readyz", {}, 2000).then((r) => r.ok, () => false);
const ready = async (node) => {
  for (let waited = 0; waited < 60_000; waited += 100) {
    if (children.get(node).exitCode !== null)
      throw new Error(`n${node} ended by itself:\n${logTail(node)}`);
    if (await isReady(node)) return;
    await pause(100);
  }
  throw new Error(`n${node} is not ready after 60 s:\n${logTail(node)}`);
};
const start = async (node) => {
  serve(node);
  await ready(node);
};
const signal = (node, name) => children.get(node).kill(name);
const gone = async (node) => {
  const child = children.get(node);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
};
const kill = async (node) => {
  signal(node, "SIGKILL");
  await gone(node);
};
const leader = async () => {
  for (let tries = 0; tries < 300; tries += 1) {
    for (const node of ids) {
      const list = await ask(node, "/api/v1/nodes", {}, 1500).then((r) => r.json(), () => null);
      const found = list?.items?.find((item) => item.leader && item.state === "up");
      if (found && children.get(Number(found.name.slice(1))).exitCode === null)
        return Number(found.name.slice(1));
    }
    await pause(50);
  }
  throw new Error("no leader for long");
};

const form = async () => {
  for (const node of ids) {
    mkdirSync(folder(node));
    const image = join(work, `disk-${node}.img`);
    await sh("truncate", "-s", "512M", image);
    await sh("mkfs.ext4", "-q", "-F", image);
    await mountDisk(node);
    await relay(node);
  }
  await sh(program, "cluster", "init", "--config", config, "--node", "n0");
  await start(0);
  for (const node of [1, 2]) {
    const token = (await sh(program, "token", "create", "--to", url(0))).trim();
    serve(node, token);
  }
  for (const node of [1, 2]) await ready(node);
  await sh(program, "apply", "--to", url(0), config);
};

// ---- the writers ----------------------------------------------------------------------------

let writing = true;
let written = 0;
/** What was acknowledged: name, node, when it was asked and answered. */
const acks = [];
const writeOnce = async (node) => {
  written += 1;
  const name = `fault-${seed}-${written}.mp4`;
  const began = performance.now();
  const answer = await ask(node, "/api/v1/uploads", {
    method: "POST",
    headers: {
      "Tus-Resumable": "1.0.0",
      "Upload-Length": "1000",
      "Upload-Metadata": `filename ${Buffer.from(name).toString("base64")}`,
    },
  });
  if (answer.status !== 201) throw new Error(`${answer.status}`);
  acks.push({ name, node, began, ended: performance.now() });
};
const writer = async (node) => {
  while (writing) {
    await writeOnce(node).catch(() => pause(10));
    await pause(5);
  }
};
/** Milliseconds until a write that was begun after `since` at another node than `not` was done. */
const nextWrite = async (since, not) => {
  for (;;) {
    const ack = acks.findLast((ack) => ack.began > since && ack.node !== not);
    if (ack) {
      const first = acks.find((ack) => ack.began > since && ack.node !== not);
      return first.ended - since;
    }
    if (performance.now() - since > 30_000) {
      complain("no write for 30 s");
      return 30_000;
    }
    await pause(5);
  }
};
/** The longest time without an acknowledgement from the others than `not` since then. */
const longestGap = (since, until, not) => {
  const times = acks.filter((a) => a.node !== not && a.ended >= since - 300 && a.ended <= until);
  const ends = [...times.map((ack) => ack.ended), until].sort((a, b) => a - b);
  return Math.max(...ends.slice(1).map((end, at) => end - ends[at]));
};

const listed = async (node) => {
  const names = new Set();
  let cursor = "";
  for (;;) {
    const page = await ask(node, `/api/v1/videos?limit=200${cursor}`).then((r) => r.json());
    for (const video of page.items) names.add(video.filename);
    if (!page.next_cursor) return names;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
};
const checkAll = async (when) => {
  const expected = acks.map((ack) => ack.name);
  for (const node of ids) {
    const names = await listed(node);
    const lost = expected.filter((name) => !names.has(name));
    if (lost.length > 0)
      complain(`${when}: n${node} lacks ${lost.length} of ${expected.length} acknowledged writes, such as ${lost[0]}`);
  }
};

// ---- what is done to them -------------------------------------------------------------------

const figures = [];
const quantiles = (what, numbers, limit) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]);
  figures.push(`${what}: ${sorted.length} times, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms${limit}`);
};
const cutOff = (node) => {
  for (const other of ids) net.cut.add(`${node}>${other}`).add(`${other}>${node}`);
};
const heal = () => {
  net.cut.clear();
  Object.assign(net, { loss: 0, delayMs: 0, jitterMs: 0 });
};
const losePower = async (node) => {
  const code = 'open(F, "<", $ARGV[0]) or die; my $f = pack("L", 2); ioctl(F, 0x8004587d, $f) or die $!';
  await sh("perl", "-e", code, folder(node));
  await kill(node);
  await sh("umount", folder(node));
  await mountDisk(node);
};

const scenarios = {
  async kill() {
    const took = [];
    for (let round = 0; round < rounds; round += 1) {
      const victim = await leader();
      await pause(200 + random() * 300);
      const since = performance.now();
      await kill(victim);
      took.push(await nextWrite(since, victim));
      await start(victim);
    }
    quantiles("writes again after the leader was killed", took, " (wanted: p95 1500, most 3000)");
    if (took.some((ms) => ms > 3000)) complain("a leader's death held writers up for more than 3 s");
  },
  async handOver() {
    const gaps = [];
    for (let round = 0; round < Math.ceil(rounds / 2); round += 1) {
      const old = await leader();
      await pause(500);
      const since = performance.now();
      signal(old, "SIGTERM");
      await gone(old);
      await pause(300);
      gaps.push(longestGap(since, performance.now(), old));
      await start(old);
    }
    quantiles("longest wait of writers at a planned hand-over", gaps, " (wanted: 50)");
  },
  async frozenFollower() {
    const gaps = [];
    for (let round = 0; round < Math.ceil(rounds / 4); round += 1) {
      const head = await leader();
      const frozen = ids.find((node) => node !== head);
      await pause(500);
      const since = performance.now();
      signal(frozen, "SIGSTOP");
      await pause(4000);
      signal(frozen, "SIGCONT");
      await pause(1500);
      gaps.push(longestGap(since, performance.now(), frozen));
    }
    quantiles("longest wait of writers while a follower was frozen and came back", gaps, " (wanted: 50)");
  },
  async frozenLeader() {
    const took = [];
    for (let round = 0; round < Math.ceil(rounds / 4); round += 1) {
      const frozen = await leader();
      const since = performance.now();
      signal(frozen, "SIGSTOP");
      took.push(await nextWrite(since, frozen));
      await pause(3000);
      signal(frozen, "SIGCONT");
      await ready(frozen);
    }
    quantiles("writes again after the leader was frozen", took, "");
  },
  async partitions() {
    for (let round = 0; round < Math.ceil(rounds / 4); round += 1) {
      const head = await leader();
      const other = ids.find((node) => node !== head);
      const since = performance.now();
      if (round % 4 === 0) cutOff(head);
      else if (round % 4 === 1) for (const node of ids) net.cut.add(`${head}>${node}`);
      else if (round % 4 === 2) for (const node of ids) net.cut.add(`${node}>${head}`);
      else net.cut.add(`${other}>${head}`);
      await nextWrite(since, round % 4 === 3 ? -1 : head);
      await pause(2000 + random() * 2000);
      heal();
      for (const node of ids) await ready(node);
    }
  },
  async badNetwork() {
    Object.assign(net, { loss: 0.05, delayMs: 5, jitterMs: 30 });
    const before = acks.length;
    await pause(1000 * Math.min(15, rounds));
    heal();
    const count = acks.length - before;
    if (count < 10) complain(`only ${count} writes over a bad network`);
    figures.push(`writes over a network that loses 5 % and takes 5 to 35 ms: ${count}`);
  },
  async fullDisk() {
    for (const leads of [false, true]) {
      const head = await leader();
      const full = leads ? head : ids.find((node) => node !== head);
      const since = performance.now();
      const filler = `of=${folder(full)}/filler`;
      const filling = spawn("dd", ["if=/dev/zero", filler, "bs=1M"], { stdio: "ignore" });
      await once(filling, "exit");
      await nextWrite(since, full);
      await pause(3000);
      rmSync(join(folder(full), "filler"));
      if (children.get(full).exitCode !== null) await start(full);
      await ready(full);
    }
  },
  async powerCut() {
    for (let round = 0; round < rounds; round += 1) {
      const head = await leader();
      const victim = round % 2 === 0 ? head : ids.find((node) => node !== head);
      await pause(200 + random() * 500);
      await losePower(victim);
      await start(victim);
      if (round % 5 === 4) await checkAll(`power cut ${round + 1}`);
    }
  },
  async powerCutOfAll() {
    for (let round = 0; round < Math.ceil(rounds / 5); round += 1) {
      await pause(500);
      for (const node of ids) await losePower(node);
      for (const node of ids) serve(node);
      for (const node of ids) await ready(node);
    }
  },
};

const names = Object.keys(scenarios).filter((name) => only.length === 0 || only.includes(name));
try {
  console.log(`three nodes, ${rounds} rounds, seed ${seed}`);
  await form();
  const writers = ids.map(writer);
  await pause(1000);
  for (const name of names) {
    const [began, before] = [performance.now(), acks.length];
    await scenarios[name]();
    for (const node of ids) await ready(node);
    await pause(500);
    await checkAll(name);
    const secs = Math.round((performance.now() - began) / 1000);
    console.log(`  ${name}: ${acks.length - before} writes acknowledged in ${secs} s`);
  }
  writing = false;
  await Promise.all(writers);
  await pause(1000);
  await checkAll("at the end");
  for (const figure of figures) console.log(figure);
} catch (error) {
  complain(String(error?.stack ?? error));
} finally {
  writing = false;
  for (const child of children.values()) child.kill("SIGKILL");
  await pause(300);
  for (const node of ids) spawnSync("umount", ["-l", folder(node)]);
  if (!process.env.KEEP_WORK) rmSync(work, { recursive: true, force: true });
}
console.log(failures === 0 ? `nothing lost of ${acks.length} acknowledged writes` : `${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
