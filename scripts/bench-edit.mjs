// Edit proxies and subclips beside the ffmpeg command for the same job, on the same file, in one run:
// wall and processor time, size, SSIM against the original.
//
//   node scripts/bench-edit.mjs PROGRAM CLIP

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, loadavg, cpus } from "node:os";
import { join } from "node:path";

const [program, clip] = process.argv.slice(2);
if (!program || !clip) {
  console.error("usage: bench-edit.mjs PROGRAM CLIP");
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), "reelmesh-bench-"));
const TICKS = 100;
/** Processor seconds of a process and of its children that have ended. */
const processor = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
};
/** Wall and processor seconds of `job`, done by `pid` or its children. */
const measured = async (pid, job) => {
  const [cpu, start] = [processor(pid), process.hrtime.bigint()];
  const result = await job();
  const wall = Number(process.hrtime.bigint() - start) / 1e9;
  return { ...result, wall, cpu: processor(pid) - cpu };
};

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

/** SSIM "All" of `file` against the frames of the original from `first` on, paired by number. */
const ssim = (file, first = 0) => {
  const filter =
    `[0:v]settb=1/1000,setpts=N,format=yuv420p[a];` +
    `[1:v]select=gte(n\\,${first}),settb=1/1000,setpts=N[s];[s][a]scale2ref=flags=lanczos[s2][b];[s2]format=yuv420p[c];[b][c]ssim=shortest=1`;
  const text = execFileSync(
    "sh",
    ["-c", `ffmpeg -hide_banner -i "$0" -i "$1" -filter_complex "$2" -an -f null - 2>&1`, file, clip, filter],
    { maxBuffer: 1 << 26 },
  ).toString();
  return Number(text.match(/All:([0-9.]+)/)?.[1]);
};

const ffmpeg = (output, ...args) =>
  measured(process.pid, async () => {
    execFileSync("ffmpeg", ["-v", "error", "-y", ...args, output]);
    return { file: output };
  });

const show = (name, { file, wall, cpu }, first) => {
  const size = (statSync(file).size / (1 << 20)).toFixed(1);
  console.log(
    `  ${name.padEnd(34)} ${wall.toFixed(2).padStart(6)} s wall ${cpu.toFixed(2).padStart(6)} s processor ` +
      `${size.padStart(6)} MiB  SSIM ${ssim(file, first).toFixed(5)}`,
  );
};

const url = `http://127.0.0.1:${await freePort()}`;
const config = join(work, "cluster.toml");
writeFileSync(config, `[[node]]\nname = "bench"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:0"\n`);
const node = spawn(program, ["serve", "--config", config, "--data-dir", join(work, "data")], { stdio: "ignore" });
const json = async (path, body, method = "POST") => {
  const options = body && { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await fetch(`${url}/api/v1${path}`, options)).json();
};
/** From the request until the file can be fetched; then fetches it, outside of the time. */
const made = async (name, ask, path) => {
  const result = await measured(node.pid, async () => {
    let thing = await ask();
    while (thing.status !== "ready") {
      if (thing.status === "failed") throw new Error(thing.error.message);
      await new Promise((resolve) => setTimeout(resolve, 10));
      thing = await json(`/${path}/${thing.id}`);
    }
    return { id: thing.id };
  });
  const file = join(work, name);
  const bytes = await (await fetch(`${url}/api/v1/${path}/${result.id}/download`)).arrayBuffer();
  writeFileSync(file, Buffer.from(bytes));
  return { ...result, file };
};

try {
  console.log(`${cpus().length} cores, load ${loadavg()[0].toFixed(2)}`);
  while (!(await fetch(`${url}/readyz`).then((r) => r.ok, () => false))) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const client = spawn(program, ["upload", "--json", "--wait", "--to", url, clip], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(client, "exit");
  if (code !== 0) throw new Error(`the upload ended with ${code}`);
  const [video] = (await json("/videos")).items;
  const size = `scale=${video.width / 2}:${video.height / 2}:flags=lanczos`;
  const theirs = {
    "prores-proxy": ["-c:v", "prores_ks", "-profile:v", "proxy", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le"],
    "dnxhr-lb": ["-c:v", "dnxhd", "-profile:v", "dnxhr_lb", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le"],
    "h264-intra": ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-g", "1", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le"],
  };
  for (const [preset, args] of Object.entries(theirs)) {
    show(`proxy ${preset}, with proof`, await made(`${preset}.mov`, () => json(`/videos/${video.id}/proxies`, { preset }), "proxies"));
    show(`ffmpeg ${preset}`, await ffmpeg(join(work, `ffmpeg-${preset}.mov`), "-i", clip, "-vf", size, ...args));
  }
  const rate = video.frame_rate.num / video.frame_rate.den;
  const [first, last] = [Math.round(20.5 * rate), Math.round(30.5 * rate)];
  for (const mode of ["instant", "smart", "encode"]) {
    const ask = () => json(`/videos/${video.id}/clips`, { in_frame: first, out_frame: last, mode, render: true });
    show(`subclip of 10 s, ${mode}`, await made(`${mode}.mp4`, ask, "clips"), first);
  }
  const cut = ["-ss", String(first / rate), "-t", String((last - first) / rate), "-i", clip];
  show("ffmpeg, encoded again, veryfast", await ffmpeg(join(work, "cut.mp4"), ...cut, "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-c:a", "copy"), first);
} finally {
  const gone = once(node, "exit");
  node.kill("SIGTERM");
  await gone;
  rmSync(work, { recursive: true, force: true });
}
