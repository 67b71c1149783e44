// Pure: in and out. A range is from its first frame to the first frame after it.

import type { Clip } from "../api/types";

export interface Marks {
  in: number | null;
  /** The first frame after the range; the frame on screen when O is pressed is the one before. */
  out: number | null;
}

export interface Range {
  in: number;
  out: number;
}

export const UNMARKED: Marks = { in: null, out: null };

/** The range begins with this frame. An out that lies before it is given up. */
export function withIn(marks: Marks, frame: number): Marks {
  return { in: frame, out: marks.out !== null && marks.out > frame ? marks.out : null };
}

/** The range ends with this frame, which still belongs to it. An in that lies after it is given up. */
export function withOut(marks: Marks, frame: number): Marks {
  return { in: marks.in !== null && marks.in <= frame ? marks.in : null, out: frame + 1 };
}

/** What is marked; one mark alone reaches to the end of the video on its side. */
export function rangeOf(marks: Marks, frames: number): Range | null {
  if (marks.in === null && marks.out === null) return null;
  return { in: marks.in ?? 0, out: Math.min(marks.out ?? frames, frames) };
}

/** Whether playing has come to the end of the range with this frame, so that it stops or goes round. */
export function isAtEnd(frame: number, range: Range): boolean {
  return frame >= range.out - 1;
}

/** A name that no subclip of this video has yet: the file's own and a number. */
export function nameFor(filename: string, clips: readonly Pick<Clip, "name">[]): string {
  const stem = filename.replace(/\.[^.]+$/, "") || filename;
  const taken = new Set(clips.map(({ name }) => name));
  for (let number = clips.length + 1; ; number += 1) {
    const name = `${stem} ${String(number).padStart(2, "0")}`;
    if (!taken.has(name)) return name;
  }
}

/** The subclip before or after the chosen one in the list, while the picture is in it; elsewhere the nearest on that side. */
export function neighbour<C extends Pick<Clip, "id" | "in_frame" | "out_frame">>(
  clips: readonly C[],
  chosen: string | null,
  frame: number,
  by: 1 | -1,
): C | null {
  const at = clips.findIndex(
    ({ id, in_frame, out_frame }) => id === chosen && frame >= in_frame && frame < out_frame,
  );
  if (at >= 0) return clips[at + by] ?? null;
  // The list may be arranged in any order.
  const byTime = [...clips].sort((a, b) => a.in_frame - b.in_frame);
  return (
    (by > 0
      ? byTime.find(({ in_frame }) => in_frame > frame)
      : byTime.findLast(({ in_frame }) => in_frame < frame)) ?? null
  );
}
