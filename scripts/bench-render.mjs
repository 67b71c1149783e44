// Upload-to-ready time of a clip against the ffmpeg command for the same ladder, in one run,
// with bit rate and SSIM of both.
//
//   node scripts/bench-render.mjs PROGRAM CLIP

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, readdirSync, statSync, writeFileSync, appendFileSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, loadavg, cpus } from "node:os";
import { join } from "node:path";

const [program, clip] = process.argv.slice(2);
if (!program || !clip) {
  console.error("usage: bench-render.mjs PROGRAM CLIP");
  process.exit(2);
}
const rungs = [
  { name: "1080p", size: "1920x1080", kbps: 5000 },
  { name: "720p", size: "1280x720", kbps: 2800 },
  { name: "360p", size: "640x360", kbps: 800 },
];
const work = mkdtempSync(join(tmpdir(), "reelmesh-bench-"));
const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

const probe = (file, entry) =>
  execFileSync("ffprobe", ["-v", "error", "-select_streams", "v", "-show_entries", entry, "-of", "csv=p=0", file])
    .toString()
    .trim()
    .split("\n")[0]
    .replace(/,$/, "");
const duration = Number(probe(clip, "stream=duration"));
const rate = probe(clip, "stream=r_frame_rate");

// Frames are paired by number: both sides get the same clock, and SSIM "All" is printed.
const ssim = (file, size) => {
  const [width, height] = size.split("x");
  const filter =
    `[0:v]settb=1/1000,setpts=N,format=yuv420p[a];` +
    `[1:v]scale=${width}:${height}:flags=lanczos,settb=1/1000,setpts=N,format=yuv420p[b];[a][b]ssim`;
  const child = execFileSync(
    "sh",
    ["-c", `ffmpeg -hide_banner -i "$0" -i "$1" -filter_complex "$2" -an -f null - 2>&1`, file, clip, filter],
    { maxBuffer: 1 << 26 },
  ).toString();
  return Number(child.match(/All:([0-9.]+)/)?.[1]);
};

// `keep` is the configuration's `keep_top`: whether the source may be its own top rung.
const ours = async (keep) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const config = join(work, `cluster-${keep}.toml`);
  writeFileSync(
    config,
    `[render]\nkeep_top = "${keep}"\n[[node]]\nname = "bench"\nhttp = "${url.slice(7)}"\nquic = "127.0.0.1:0"\n`,
  );
  const data = join(work, `data-${keep}`);
  const node = spawn(program, ["serve", "--config", config, "--data-dir", data], { stdio: "ignore" });
  try {
    while (!(await fetch(`${url}/readyz`).then((r) => r.ok, () => false))) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // The first start of a node lists GStreamer's plug-ins and tries its encoders: set-up, not rendering.
    const able = async () => (await (await fetch(`${url}/api/v1/nodes`)).json()).items[0]?.encoders?.length > 0;
    while (!(await able())) await new Promise((resolve) => setTimeout(resolve, 50));
    const start = process.hrtime.bigint();
    const client = spawn(program, ["upload", "--json", "--wait", "--to", url, clip], { stdio: ["ignore", "ignore", "inherit"] });
    const [code] = await once(client, "exit");
    const wall = seconds(start);
    if (code !== 0) throw new Error(`the upload ended with ${code}`);
    const [video] = (await (await fetch(`${url}/api/v1/videos`)).json()).items;
    const base = new URL(video.hls_url, url);
    const results = [];
    for (const rung of rungs) {
      const playlistUrl = new URL(`${rung.name}/media.m3u8`, base);
      const playlist = await (await fetch(playlistUrl)).text();
      const file = join(work, `ours-${keep}-${rung.name}.mp4`);
      const names = [playlist.match(/URI="([^"]+)"/)[1], ...playlist.split("\n").filter((line) => line && !line.startsWith("#"))];
      let bytes = 0;
      writeFileSync(file, "");
      for (const name of names) {
        const part = Buffer.from(await (await fetch(new URL(name, playlistUrl))).arrayBuffer());
        bytes += part.length;
        appendFileSync(file, part);
      }
      results.push({ ...rung, file, kbps: (bytes * 8) / duration / 1000 });
    }
    return { wall, results, kept: video.renditions[0].copy, because: video.encoded_because };
  } finally {
    node.kill("SIGTERM");
    await once(node, "exit");
  }
};

const theirs = () => {
  const gop = 2 * Math.round(Number(rate.split("/")[0]) / Number(rate.split("/")[1] ?? 1));
  const outputs = rungs.flatMap((rung, number) => {
    const folder = join(work, `ffmpeg-${rung.name}`);
    mkdirSync(folder);
    return [
      "-map", `[v${number}]`, "-map", "0:a?", "-c:v", "libx264", "-preset", "veryfast", "-b:v", `${rung.kbps}k`,
      "-g", `${gop}`, "-keyint_min", `${gop}`, "-sc_threshold", "0", "-c:a", "aac", "-b:a", "128k",
      "-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
      join(folder, "media.m3u8"),
    ];
  });
  const start = process.hrtime.bigint();
  execFileSync("ffmpeg", [
    "-v", "error", "-y", "-i", clip, "-filter_complex",
    "[0:v]split=3[v0][s1][s2];[s1]scale=1280:720[v1];[s2]scale=640:360[v2]", ...outputs,
  ]);
  const wall = seconds(start);
  const results = rungs.map((rung) => {
    const folder = join(work, `ffmpeg-${rung.name}`);
    const bytes = readdirSync(folder).reduce((sum, name) => sum + (/\.(m4s|mp4)$/.test(name) ? statSync(join(folder, name)).size : 0), 0);
    // The sound is in the same segments; its nominal rate is taken off.
    return { ...rung, file: join(folder, "media.m3u8"), kbps: (bytes * 8) / duration / 1000 - 128 };
  });
  return { wall, results };
};

try {
  console.log(`${cpus().length} cores, load ${loadavg()[0].toFixed(2)}, clip of ${duration} s`);
  const reelmesh = await ours("never");
  const kept = await ours("auto");
  const ffmpeg = theirs();
  console.log(`  reelmesh, upload to ready   ${reelmesh.wall.toFixed(1)} s`);
  console.log(`  ffmpeg veryfast, same rungs ${ffmpeg.wall.toFixed(1)} s`);
  console.log(`  ratio                       ${(reelmesh.wall / ffmpeg.wall).toFixed(2)}   (aim: 0.65 or less)`);
  if (kept.kept) {
    console.log(`  reelmesh, top rung kept     ${kept.wall.toFixed(1)} s`);
    console.log(`  ratio                       ${(kept.wall / ffmpeg.wall).toFixed(2)}   (aim: 0.35 or less)`);
  } else {
    console.log(`  the top rung is not kept: ${kept.because ?? "no reason given"}`);
  }
  for (const [number, rung] of rungs.entries()) {
    const [a, b] = [reelmesh.results[number], ffmpeg.results[number]];
    console.log(
      `  ${rung.name.padEnd(6)} reelmesh ${a.kbps.toFixed(0)} kbit/s SSIM ${ssim(a.file, rung.size).toFixed(5)}` +
        `   ffmpeg ${b.kbps.toFixed(0)} kbit/s SSIM ${ssim(b.file, rung.size).toFixed(5)}`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
