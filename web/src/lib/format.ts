// Pure: numbers as people read them. Time stays in whole units; no float holds a time.

import type { FrameRate } from "../api/types";

const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `1536000` as `1.5 MB`: decimal units, three significant digits at most. */
export function bytes(size: number): string {
  let unit = 0;
  let value = size;
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${SIZES[unit]}`;
}

/** Bytes per second. */
export function byteRate(perSecond: number): string {
  return `${bytes(perSecond)}/s`;
}

/** `30000/1001` as `29.97`, at most three decimals. */
export function frameRate(rate: FrameRate): string {
  const thousandths = Math.round((rate.num * 1000) / rate.den);
  const whole = Math.floor(thousandths / 1000);
  const rest = String(thousandths % 1000)
    .padStart(3, "0")
    .replace(/0+$/, "");
  return rest ? `${whole}.${rest}` : String(whole);
}

const two = (value: number) => String(value).padStart(2, "0");

/** Whole seconds as `HH:MM:SS`. */
export function clock(seconds: number): string {
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** The length of so many frames in whole seconds; what is shorter than one counts as one. */
export function durationSeconds(frames: number, rate: FrameRate): number {
  const seconds = Number((BigInt(frames) * BigInt(rate.den)) / BigInt(rate.num));
  return frames > 0 ? Math.max(1, seconds) : 0;
}

/** Time left or passed, as `less than a minute`, `4 min`, `2 h 05 min`. */
export function span(seconds: number): string {
  if (seconds < 10) return "a few seconds";
  if (seconds < 60) return `${Math.ceil(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  return `${Math.round(minutes / (24 * 60))} days`;
}

/** `420` thousandths as `42 %`; 100 % only when it is whole. */
export function percent(permille: number): string {
  return `${Math.floor(permille / 10)} %`;
}

/** `3` and `frame` as `3 frames`, with thousands apart. */
export function count(value: number, noun: string): string {
  return `${grouped(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** `12345` as `12,345`. */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A point in time as a person near it says it: `just now`, `5 min ago`, `yesterday`, then the date. */
export function ago(time: string, nowMs: number): string {
  const then = Date.parse(time);
  if (Number.isNaN(then)) return "";
  const seconds = Math.max(0, Math.floor((nowMs - then) / 1000));
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 24 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 48 * 3600) return "yesterday";
  return new Date(then).toISOString().slice(0, 10);
}

const CODECS: Record<string, string> = {
  h264: "H.264",
  h265: "HEVC",
  hevc: "HEVC",
  vp8: "VP8",
  vp9: "VP9",
  av1: "AV1",
  mpeg2: "MPEG-2",
  mpeg2video: "MPEG-2",
  mpeg4: "MPEG-4",
  prores: "ProRes",
  dnxhd: "DNxHD",
  mjpeg: "Motion JPEG",
  aac: "AAC",
  mp3: "MP3",
  opus: "Opus",
  vorbis: "Vorbis",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
  pcm: "PCM",
};

/** The usual name of a codec; an unknown one as it came. */
export function codec(name: string): string {
  return CODECS[name.toLowerCase().replace(/[.\-_ ]/g, "")] ?? name;
}

/** `2` channels as `stereo`. */
export function channels(number: number): string {
  if (number === 1) return "mono";
  if (number === 2) return "stereo";
  if (number === 6) return "5.1";
  if (number === 8) return "7.1";
  return `${number} channels`;
}
