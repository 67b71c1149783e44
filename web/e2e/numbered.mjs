// Makes a video whose pictures carry their own number, as black and white squares that survive encoding.
//
//     node e2e/numbered.mjs OUT.mp4 NUM/DEN FRAMES

import { spawn } from "node:child_process";
import { once } from "node:events";

export const WIDTH = 640;
export const HEIGHT = 360;
/** Squares of a number, least significant first, each the other way round in the row below. */
const BITS = 12;
const SIDE = 48;

/** Writes `frames` pictures at `rate`, such as `30000/1001`. */
export async function makeNumbered(file, rate, frames) {
  const pipeline = [
    "fdsrc ! rawvideoparse",
    `format=i420 width=${WIDTH} height=${HEIGHT} framerate=${rate}`,
    "! videoconvert ! x264enc speed-preset=ultrafast bitrate=2000 key-int-max=60 bframes=2",
    "! video/x-h264,profile=main ! h264parse ! mp4mux faststart=true ! filesink",
    `location=${file}`,
  ];
  const child = spawn("gst-launch-1.0", ["-q", ...pipeline.join(" ").split(" ")], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  const ended = once(child, "exit");
  for (let number = 0; number < frames; number += 1) {
    if (!child.stdin.write(picture(number))) await once(child.stdin, "drain");
  }
  child.stdin.end();
  const [code] = await ended;
  if (code !== 0) throw new Error(`gst-launch-1.0 ended with ${code}`);
}

function picture(number) {
  const bytes = Buffer.alloc((WIDTH * HEIGHT * 3) / 2, 128);
  bytes.fill(96, 0, WIDTH * HEIGHT);
  for (let bit = 0; bit < BITS; bit += 1) {
    const on = (number >> bit) & 1;
    for (let y = 0; y < SIDE; y += 1) {
      for (const [row, value] of [
        [100, on ? 235 : 16],
        [100 + SIDE, on ? 16 : 235],
      ]) {
        const from = (row + y) * WIDTH + 32 + bit * SIDE;
        bytes.fill(value, from, from + SIDE);
      }
    }
  }
  return bytes;
}

/** Reads the number off the picture that the page shows; to be run inside the page. `null` if there is none. */
export function paintedNumber([bits, side, width, height]) {
  const video = document.querySelector("video");
  if (!video || video.videoWidth === 0) return null;
  const canvas = (globalThis.reading ??= new OffscreenCanvas(width, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, width, height);
  const light = (x, y) => context.getImageData(x, y, 1, 1).data[1];
  let number = 0;
  for (let bit = 0; bit < bits; bit += 1) {
    const x = 32 + bit * side + side / 2;
    const [upper, lower] = [light(x, 100 + side / 2), light(x, 100 + side * 1.5)];
    if (Math.abs(upper - lower) < 80) return null;
    if (upper > lower) number |= 1 << bit;
  }
  return number;
}

export const SHAPE = [BITS, SIDE, WIDTH, HEIGHT];

if (import.meta.url === `file://${process.argv[1]}`) {
  const [, , file, rate = "25/1", frames = "100"] = process.argv;
  await makeNumbered(file, rate, Number(frames));
}
