// Pure: which part of a video the strip under the picture shows, and the outline of the sound in it.

import type { FrameRate } from "../api/types";

/** Frames `from` to `to`, the last not included. */
export interface View {
  from: number;
  to: number;
}

/** No fewer frames than this are drawn over the whole width. */
const CLOSEST = 24;

/** The view made `factor` times as long, with the frame at `share` of its width where it is. */
export function zoomed({ from, to }: View, factor: number, share: number, frames: number): View {
  const length = Math.max(Math.min(CLOSEST, frames), Math.min(frames, Math.round((to - from) * factor)));
  const fixed = from + (to - from) * share;
  return kept(Math.round(fixed - length * share), length, frames);
}

/** The view moved by so many frames, as far as there are any. */
export function panned({ from, to }: View, by: number, frames: number): View {
  return kept(from + Math.round(by), to - from, frames);
}

/** A view that has this frame; the same if it has it, else one that begins a little before it. */
export function following(view: View, frame: number, frames: number): View {
  if (frame >= view.from && frame < view.to) return view;
  const length = view.to - view.from;
  return kept(frame - Math.round(length / 10), length, frames);
}

function kept(from: number, length: number, frames: number): View {
  const start = Math.max(0, Math.min(from, frames - length));
  return { from: start, to: Math.min(frames, start + length) };
}

export interface Level {
  samples_per_bucket: number;
  buckets: number;
  offset: number;
}

/** Bytes before the buckets of a level. */
export const HEADER = 24;

/** The coarsest level that still has a bucket for each pixel, else the finest. */
export function levelFor(levels: readonly Level[], samples: number, pixels: number): Level | null {
  const coarsestFirst = [...levels].sort((a, b) => b.samples_per_bucket - a.samples_per_bucket);
  return (
    coarsestFirst.find(({ samples_per_bucket }) => samples / samples_per_bucket >= pixels) ??
    coarsestFirst.at(-1) ??
    null
  );
}

/** The sample that is heard when the frame begins. */
export function sampleAt(frame: number, rate: FrameRate, sampleRate: number): number {
  return Math.round((frame * rate.den * sampleRate) / rate.num);
}

/** Lowest and highest of all channels, -1 to 1, for each of `pixels` columns of the view. */
export function outline(
  data: Int8Array,
  channels: number,
  perBucket: number,
  first: number,
  last: number,
  pixels: number,
): Float32Array {
  const columns = new Float32Array(pixels * 2);
  const buckets = Math.floor(data.length / (2 * channels));
  const step = (last - first) / pixels / perBucket;
  for (let column = 0; column < pixels; column += 1) {
    const begin = Math.floor(first / perBucket + column * step);
    const end = Math.min(buckets, Math.max(begin + 1, Math.floor(first / perBucket + (column + 1) * step)));
    let low = 0;
    let high = 0;
    for (let bucket = Math.max(0, begin); bucket < end; bucket += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        const at = (bucket * channels + channel) * 2;
        low = Math.min(low, data[at] ?? 0);
        high = Math.max(high, data[at + 1] ?? 0);
      }
    }
    columns[column * 2] = low / 128;
    columns[column * 2 + 1] = high / 127;
  }
  return columns;
}
