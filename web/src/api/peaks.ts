// The outline of the sound, level by level.

import type { components } from "./generated";
import { HEADER, type Level } from "../player/timeline";

export type Outline = components["schemas"]["Outline"];

/** The index of a video's first sound track, with the address of its file made whole; `null` without one. */
export async function fetchOutline(url: string, signal?: AbortSignal): Promise<Outline | null> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok) throw new Error(`peaks: ${response.status}`);
  const { tracks } = (await response.json()) as components["schemas"]["Outlines"];
  const [first] = tracks;
  return first ? { ...first, url: new URL(first.url, new URL(url, location.href)).href } : null;
}

/** Lowest and highest of each bucket and channel of a level. */
export async function fetchLevel(outline: Outline, level: Level, signal?: AbortSignal): Promise<Int8Array> {
  const from = level.offset + HEADER;
  const length = level.buckets * outline.channels * 2;
  const response = await fetch(outline.url, {
    headers: { range: `bytes=${from}-${from + length - 1}` },
    ...(signal ? { signal } : {}),
  });
  if (!response.ok) throw new Error(`peaks: ${response.status}`);
  const bytes = await response.arrayBuffer();
  // Whoever knows no ranges sends all of it.
  return new Int8Array(response.status === 206 ? bytes : bytes.slice(from, from + length));
}
