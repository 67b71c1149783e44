// Prepares HLS and stills for the mock from video files, with the ffmpeg that happens to be installed.
//
//     node mock-api/make-media.mjs OUT_FOLDER FILE...
//
// Only for looking at the pages without a node; Reelmesh itself never calls ffmpeg.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const [out, ...files] = process.argv.slice(2);
if (!out || files.length === 0) {
  console.error("usage: node mock-api/make-media.mjs OUT_FOLDER FILE...");
  process.exit(2);
}

const RUNGS = [
  { name: "720p", height: 720, kbps: 2800 },
  { name: "360p", height: 360, kbps: 800 },
];

for (const [index, file] of files.entries()) {
  const folder = join(out, String(index));
  const probe = JSON.parse(
    String(execFileSync("ffprobe", ["-v", "error", "-count_packets", "-show_streams", "-of", "json", file])),
  );
  const picture = probe.streams.find((stream) => stream.codec_type === "video");
  const sound = probe.streams.find((stream) => stream.codec_type === "audio");
  const [num, den] = picture.r_frame_rate.split("/").map(Number);
  const rungs = RUNGS.filter(({ height }) => height <= Math.max(360, picture.height));
  const lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"];
  const renditions = [];
  for (const { name, height, kbps } of rungs) {
    mkdirSync(join(folder, name), { recursive: true });
    const width = Math.round((picture.width * height) / picture.height / 2) * 2;
    execFileSync("ffmpeg", [
      ...[
        "-v",
        "error",
        "-y",
        "-i",
        file,
        "-map",
        "0:v:0",
        "-map",
        "0:a:0?",
        "-vf",
        `scale=${width}:${height}`,
      ],
      ...["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-b:v", `${kbps}k`],
      ...["-r", `${num}/${den}`, "-force_key_frames", "expr:gte(t,n_forced*2)", "-sc_threshold", "0"],
      ...[
        "-c:a",
        "aac",
        "-b:a",
        "128k",
        "-ac",
        "2",
        "-f",
        "hls",
        "-hls_time",
        "4",
        "-hls_playlist_type",
        "vod",
      ],
      ...["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"],
      ...["-hls_segment_filename", join(folder, name, "%06d.m4s"), join(folder, name, "media.m3u8")],
    ]);
    const codecs = sound ? "avc1.64001f,mp4a.40.2" : "avc1.64001f";
    lines.push(
      `#EXT-X-STREAM-INF:BANDWIDTH=${kbps * 1400},AVERAGE-BANDWIDTH=${kbps * 1000},RESOLUTION=${width}x${height},CODECS="${codecs}"`,
      `${name}/media.m3u8`,
    );
    renditions.push({ name, resolution: { width, height }, video_kbps: kbps });
  }
  writeFileSync(join(folder, "master.m3u8"), `${lines.join("\n")}\n`);
  const at = String(Math.max(0, Number(picture.nb_read_packets) * den * 0.3) / num);
  for (const width of [320, 640, 1280]) {
    const to = join(folder, `thumb-${width}.jpg`);
    execFileSync("ffmpeg", [
      "-v",
      "error",
      "-y",
      "-ss",
      at,
      "-i",
      file,
      "-frames:v",
      "1",
      "-vf",
      `scale=${width}:-2`,
      "-q:v",
      "4",
      to,
    ]);
  }
  writeFileSync(
    join(folder, "info.json"),
    JSON.stringify({
      filename: basename(file),
      size_bytes: statSync(file).size,
      duration_frames: Number(picture.nb_read_packets),
      frame_rate: reduced(num, den),
      width: picture.width,
      height: picture.height,
      video_codec: picture.codec_name,
      audio_tracks: sound
        ? [
            {
              codec: sound.codec_name,
              channels: sound.channels,
              sample_rate: Number(sound.sample_rate),
              language: null,
            },
          ]
        : [],
      renditions,
    }),
  );
  console.log(
    `${basename(file)}: ${readdirSync(folder).length} entries, ${readFileSync(join(folder, "master.m3u8")).length} bytes of playlist`,
  );
}

function reduced(num, den) {
  let [a, b] = [num, den];
  while (b) [a, b] = [b, a % b];
  return { num: num / a, den: den / a };
}
