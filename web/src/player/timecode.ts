// Pure: frames, SMPTE timecode and the media clock. Whole numbers only; a float appears where the browser's
// `currentTime` asks for one, and nowhere else.

import type { FrameRate } from "../api/types";

export interface Timecode {
  /** Frames since 00:00:00:00 at the counted rate, so without the numbers that drop-frame skips. */
  frame: number;
  drop: boolean;
}

/** Frame numbers in a second of timecode: 30 for 30000/1001. */
export function nominalRate(rate: FrameRate): number {
  return Math.floor((2 * rate.num + rate.den) / (2 * rate.den));
}

/** Whether timecode at this rate can be drop-frame: 29.97 and its multiples (SMPTE ST 12-1). */
export function canDrop(rate: FrameRate): boolean {
  const nominal = nominalRate(rate);
  return rate.den === 1001 && rate.num === nominal * 1000 && nominal % 30 === 0;
}

/** Reads `01:00:00:12`, or with `;` before the frames for drop-frame; `null` if it is no timecode. */
export function parseTimecode(text: string, rate: FrameRate): Timecode | null {
  const match = /^(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})$/.exec(text.trim());
  if (!match) return null;
  const nominal = nominalRate(rate);
  const [hours, minutes, seconds, frames] = [match[1], match[2], match[3], match[5]].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (hours > 23 || minutes > 59 || seconds > 59 || frames >= nominal) return null;
  const drop = match[4] !== ":" && canDrop(rate);
  const total = hours * 60 + minutes;
  let frame = (total * 60 + seconds) * nominal + frames;
  if (drop) {
    const dropped = nominal / 15;
    // The first numbers of a minute do not exist, except in every tenth.
    if (seconds === 0 && frames < dropped && minutes % 10 !== 0) return null;
    frame -= dropped * (total - Math.floor(total / 10));
  }
  return { frame, drop };
}

/** Writes a timecode; it goes round at 24 hours. */
export function formatTimecode(timecode: Timecode, rate: FrameRate): string {
  const nominal = nominalRate(rate);
  const { drop } = timecode;
  let frame = timecode.frame;
  if (drop) {
    const dropped = nominal / 15;
    const tenMinutes = nominal * 600 - dropped * 9;
    const minute = nominal * 60 - dropped;
    frame %= tenMinutes * 144;
    const tens = Math.floor(frame / tenMinutes);
    const rest = frame % tenMinutes;
    frame += dropped * 9 * tens;
    if (rest >= nominal * 60) frame += dropped * (1 + Math.floor((rest - nominal * 60) / minute));
  } else {
    frame %= nominal * 86_400;
  }
  const two = (value: number) => String(value).padStart(2, "0");
  const seconds = Math.floor(frame / nominal);
  const last = String(frame % nominal).padStart(nominal > 100 ? 3 : 2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${drop ? ";" : ":"}${last}`;
}

/** The source timecode of a frame of a video that starts at `start`; from zero if it has none. */
export function timecodeAt(frame: number, rate: FrameRate, start: string | null): string {
  const origin = start === null ? null : parseTimecode(start, rate);
  return formatTimecode({ frame: (origin?.frame ?? 0) + frame, drop: origin?.drop ?? canDrop(rate) }, rate);
}

/**
 * The frame that a person means by what they typed: a timecode, its last parts (`5:10`), digits from the right
 * (`510`), or frames from here (`+12`, `-3`). `null` if it is none of these or lies outside the video.
 */
export function typedFrame(
  text: string,
  here: number,
  rate: FrameRate,
  start: string | null,
  frames: number,
): number | null {
  const typed = text.trim();
  if (/^[+-]\d{1,9}$/.test(typed)) return inside(here + Number(typed), frames);
  const nominal = nominalRate(rate);
  const width = nominal > 100 ? 3 : 2;
  const origin = start === null ? null : parseTimecode(start, rate);
  const drop = origin?.drop ?? canDrop(rate);
  let parts: string[];
  if (/^\d+$/.test(typed) && typed.length <= 6 + width) {
    const digits = typed.padStart(6 + width, "0");
    parts = [digits.slice(0, 2), digits.slice(2, 4), digits.slice(4, 6), digits.slice(6)];
  } else if (/^\d{1,3}([:;.]\d{1,3}){1,3}$/.test(typed)) {
    parts = typed.split(/[:;.]/);
    while (parts.length < 4) parts.unshift("0");
  } else {
    return null;
  }
  const [hours, minutes, seconds, last] = parts.map((part) => String(Number(part)).padStart(2, "0"));
  const found = parseTimecode(
    `${hours}:${minutes}:${seconds}${drop ? ";" : ":"}${last?.padStart(width, "0")}`,
    rate,
  );
  return found && inside(found.frame - (origin?.frame ?? 0), frames);
}

function inside(frame: number, frames: number): number | null {
  return frame >= 0 && frame < frames ? frame : null;
}

/** The frame on screen at a media time in microseconds. */
export function frameAt(microseconds: number, rate: FrameRate, frames: number): number {
  // The clock may say a microsecond less than the frame's start: the nearest microsecond to 1001/30000 s is below it.
  const frame = Number((BigInt(microseconds + 2) * BigInt(rate.num)) / (BigInt(rate.den) * 1_000_000n));
  return Math.max(0, Math.min(frame, frames - 1));
}

/** A media time in microseconds that lies in the middle of a frame, where no rounding moves it to another. */
export function middleOf(frame: number, rate: FrameRate): number {
  return Number((BigInt(2 * frame + 1) * BigInt(rate.den) * 1_000_000n) / BigInt(2 * rate.num));
}

/** The browser's clock in whole microseconds. */
export function microseconds(seconds: number): number {
  return Math.round(seconds * 1_000_000);
}

/** How many frames come nearest to one second. */
export function framesPerSecond(rate: FrameRate): number {
  return nominalRate(rate);
}
